"""Events in files and frames: reading, sorting, features, scores, and storage behind a URL."""
