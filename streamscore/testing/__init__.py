"""For tests of your own: random events of any event type, and the laws that event types and scorers keep."""

from streamscore.testing.events import events_of
from streamscore.testing.laws import check_event_type
from streamscore.testing.scorers import check_scorer

__all__ = ["check_event_type", "check_scorer", "events_of"]
