"""How good a model is: figures, intervals, folds, and the thresholds of its decisions."""
