"""The commands of `streamscore`."""
