"""Everything that speaks to Kafka: clients, topics, the source, the sinks and the embedded broker."""
