"""Comparing models on a file of labelled events."""
