"""A history copied into a new one, as a restart does with what a snapshot holds."""

from datetime import timedelta

from streamscore.core.events.event_type import EventType
from streamscore.core.history.entity_history import Bounds, Cursor, EntityHistory
from streamscore.core.history.timeline import Part


def copies(history: EntityHistory, rows: int) -> list[tuple[str, Part]]:
    """All that is held, about so many rows at a time."""
    found: list[tuple[str, Part]] = []
    cursor: Cursor | None = Cursor()
    while cursor:
        name, part, cursor = history.copied(cursor, rows)
        found.append((name, part))
    return found


def again(
    event_type: EventType, history: EntityHistory, rows: int = 1000, slack: timedelta | None = None
) -> EntityHistory:
    """A new history that goes on where one is."""
    fresh = EntityHistory(event_type, Bounds() if slack is None else Bounds(slack))
    for name, part in copies(history, rows):
        fresh.adopt(name, part)
    fresh.bound = history.bound
    return fresh
