"""Fitting a network: scalers, presets, losses, steps, and the trees that may teach it."""
