"""The worker: its loop, its parts, and how it starts."""
