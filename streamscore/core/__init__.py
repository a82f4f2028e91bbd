"""The pure core: no network, disk, clock, log or metric. Time is an argument."""
