"""For tests of your own: a source and a sink in memory, a fixed clock, random events, and the laws that types keep."""

from streamscore.testing.clock import FixedClock
from streamscore.testing.events import events_of
from streamscore.testing.laws import check_event_type
from streamscore.testing.memory import MemorySink, MemorySource
from streamscore.testing.scorers import check_scorer

__all__ = ["FixedClock", "MemorySink", "MemorySource", "check_event_type", "check_scorer", "events_of"]
