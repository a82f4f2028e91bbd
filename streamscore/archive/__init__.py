"""The archive: Delta tables of events, labels, scores and dead letters, who writes them and who reads them."""
