"""Bundles: the store that keeps them, loading and verifying them, and the compiled scorer."""
