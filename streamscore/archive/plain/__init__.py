"""Plainly written events, read from JSON into columns many at a time."""
