"""Random valid events of any event type."""

from typing import Annotated

import msgspec
import pytest

from streamscore.core.events.event_type import EventType
from streamscore.core.events.transaction import TRANSACTION
from streamscore.testing import events_of
from tests.support.declared import event_type_of
from tests.support.generated import EVENT_TYPES


def test_the_same_seed_gives_the_same_events() -> None:
    """A seed decides everything; another seed gives other events."""
    assert events_of(TRANSACTION, 20, 1) == events_of(TRANSACTION, 20, 1)
    assert events_of(TRANSACTION, 20, 1) != events_of(TRANSACTION, 20, 2)


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.name)
def test_times_ascend_and_ids_differ(event_type: EventType) -> None:
    """Events come oldest first, each with an id of its own, and entities come again."""
    events = events_of(event_type, 60, 0)
    times = [event[event_type.wire_name("occurred_at")] for event in events]
    assert times == sorted(times)
    assert len({event[event_type.wire_name("event_id")] for event in events}) == 60
    entity = event_type.wire_name(event_type.entities[0])
    assert len({event[entity] for event in events}) < 60 or entity == event_type.wire_name("event_id")


def test_optional_values_are_missing_now_and_then() -> None:
    """An optional field is there in some events and missing in others."""
    given = ["device_id" in event for event in events_of(TRANSACTION, 100, 0)]
    assert 0 < sum(given) < 100


def test_what_cannot_be_drawn_is_named() -> None:
    """A field with a pattern that no drawn value has is a ValueError, which names the field."""
    with pytest.raises(ValueError, match="iban"):
        events_of(event_type_of(iban=Annotated[str, msgspec.Meta(pattern="^DE[0-9]{20}$")]), 3, 0)


def test_bounds_are_kept() -> None:
    """Exclusive and narrow bounds of numbers and lengths of texts are kept."""
    narrow = event_type_of(
        rate=Annotated[float, msgspec.Meta(gt=0, lt=0.001)],
        grade=Annotated[int, msgspec.Meta(gt=2, le=4)],
        code=Annotated[str, msgspec.Meta(min_length=3, max_length=3)],
    )
    events = events_of(narrow, 50, 0)
    assert {event["grade"] for event in events} == {3, 4}
    assert all(0 < event["rate"] < 0.001 and len(event["code"]) == 3 for event in events)
