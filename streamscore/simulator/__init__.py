"""A simulated world of customers, terminals and applicants: its past in files, its present on topics."""
