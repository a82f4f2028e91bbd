"""Rows of a file as the entries that decoding makes of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from streamscore.core.events.decode import DeadLetter, Entry, Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Field
from streamscore.core.events.record import Record
from streamscore.files.read import value_types

# What is asked of rows of a file beside each other does not depend on the clock.


def row_entries(
    event_type: EventType, lines: Sequence[bytes], topic: str, first: int, now: datetime, limits: Limits
) -> list[Entry]:
    """Rows of a file as the entries of partition 0 of a topic, whose offsets are row numbers from `first`.

    An integer that a 64-bit column does not hold is out of range here.
    """
    records = [Record(topic, 0, row, -1, None, line, None) for row, line in enumerate(lines, first)]
    types = value_types(event_type)
    integers = [field for field in event_type.fields if types[field.name] is int]
    return [_fitting(entry, integers) for entry in decode(event_type, records, now, limits)]


def _fitting(entry: Entry, integers: Sequence[Field]) -> Entry:
    for field in integers:
        value = getattr(entry.event, field.name, None)
        if value is not None and not -(1 << 63) <= value < 1 << 63:
            return _refused(entry, DeadLetter("out_of_range", field.wire_name, "an integer beyond 64 bits"))
    return entry


def with_label(entry: Entry, event_type: EventType, label: Any) -> Entry:
    """An entry as it is, or refused where its row has a label that is neither true, false nor missing."""
    if entry.event is None or label is None or isinstance(label, bool):
        return entry
    return _refused(entry, DeadLetter("wrong_type", event_type.label, "a label that is neither true nor false"))


def _refused(entry: Entry, why: DeadLetter) -> Entry:
    return Entry(entry.record, None, -1.0, why)
