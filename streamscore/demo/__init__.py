"""The demo: a broker, a stream, first models and a live view in one command."""
