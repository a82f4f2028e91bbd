"""What a process says of itself: metrics, and HTTP for probes."""
