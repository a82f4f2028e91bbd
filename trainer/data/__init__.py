"""Labelled rows from the archive: read in order, cleaned, split, and taken in parts."""
