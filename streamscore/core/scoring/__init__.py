"""From events to scores: a bundle, batches, a stream's history, decisions with reasons."""
