"""How a worker gets its history back: from a snapshot, or from the archive."""
