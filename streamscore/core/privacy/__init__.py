"""What protects a person: pseudonyms for ids, and finding an id in bytes that could not be read."""
