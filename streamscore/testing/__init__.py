"""For tests of your own: a source and a sink in memory, a fixed clock, events, and the laws of an event type."""
