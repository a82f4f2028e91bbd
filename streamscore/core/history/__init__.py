"""The past of entities: events and labels by entity, sorted by time, and aggregates over windows of them."""
