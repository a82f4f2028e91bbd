"""Whether a new model replaces the champion: gates, comparison in shadow, drift."""
