"""From a record to an event, or to a dead letter that says why not.

Each record is decoded by its own call, so what becomes of a message never depends on its
neighbours: fragments joined to one document can be valid events on the wrong offsets.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import msgspec

from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Event
from streamscore.core.events.quotation_marks import quotation_marks, values_of
from streamscore.core.events.record import Record

Reason = Literal[
    "empty", "too_long", "bad_utf8", "truncated", "bad_json", "duplicate_key",
    "missing_field", "wrong_type", "out_of_range", "unknown_value", "in_future",
]  # fmt: skip


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """Why a record is not an event. `error` never quotes the payload: it may hold a card number."""

    reason: Reason
    field: str
    error: str


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A record and what it said: an event, or a dead letter where it said nothing usable.

    `at` is the event's time in seconds since 1970; a dead letter has none and stands where the
    order of its partition puts it. `ignored` counts fields that the event type does not declare.
    """

    record: Record
    event: Event | None
    at: float
    dead_letter: DeadLetter | None = None
    ignored: int = 0


# By these getters a pass over many entries stays in C.
entry_partition = attrgetter("record.topic", "record.partition")
entry_offset = attrgetter("record.offset")
entry_coordinates = attrgetter("record.topic", "record.partition", "record.offset")
entry_timestamp = attrgetter("record.timestamp")
entry_event = attrgetter("event")


class Limits(NamedTuple):
    """What is refused before and after parsing: bytes of key and value, seconds ahead of the clock."""

    max_bytes: int = 64 * 1024
    max_future: float = 300.0


DecodeOne = Callable[[Record], Entry]


def decode(event_type: EventType, records: Sequence[Record], now: datetime, limits: Limits) -> list[Entry]:
    """Each record as an entry, in the order given. `now` is when they were read; never raises."""
    one = decoder(event_type, limits)
    horizon = now.timestamp() + limits.max_future
    return [
        entry if (entry := one(record)).at <= horizon else _in_future(event_type, entry, limits) for record in records
    ]


def _in_future(event_type: EventType, entry: Entry, limits: Limits) -> Entry:
    field = event_type.wire_name("occurred_at")
    return _refused(
        entry.record, "in_future", field, f"{field} is more than {limits.max_future:g} s ahead of the clock"
    )


@lru_cache(maxsize=64)
def decoder(event_type: EventType, limits: Limits) -> DecodeOne:
    """The function that decodes one record of an event type."""
    parse: Callable[[bytes], Any] = msgspec.json.Decoder(event_type.struct).decode
    expected_marks = quotation_marks(event_type.fields)
    unbounded = [f for f in event_type.identified if f.whole and not f.ranged and not f.nullable]
    ids = values_of(unbounded) if unbounded else None

    def one(record: Record) -> Entry:
        value = record.value
        if record.unreadable:
            return _refused(record, "bad_utf8", "", "the name of a header is not UTF-8; the headers are left out")
        if not value:
            return _refused(record, "empty", "", "the record has no value")
        size = len(value) + len(record.key or b"")
        if size > limits.max_bytes:
            return _refused(record, "too_long", "", f"{size} bytes, {limits.max_bytes} allowed")
        try:
            event = parse(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return Entry(record, None, -1.0, _reason(event_type, error))
        at = event.occurred_at.timestamp()
        if value.count(b'"') == expected_marks(event) and at >= 0 and (ids is None or _held(ids(event)[2:])):
            return Entry(record, event, at)
        return _second_look(event_type, record, event)

    return one


def _held(ids: Sequence[int]) -> bool:
    """Whether 64 bits with a sign hold all of these; JSON knows larger integers."""
    return min(ids) >= -(1 << 63) and max(ids) < 1 << 63


def _second_look(event_type: EventType, record: Record, event: Event) -> Entry:
    """A full parse of a message that the quick count could not clear."""
    if event.occurred_at.timestamp() < 0:
        name = event_type.wire_name("occurred_at")
        return _refused(record, "out_of_range", name, f"{name} is before 1970")
    for field in (f for f in event_type.identified if f.whole and not f.nullable):
        if not _held([getattr(event, field.name)]):
            return _refused(record, "out_of_range", field.wire_name, f"{field.wire_name} is beyond 64 bits")
    try:
        keys = _top_level_keys(record.value or b"")
    except UnicodeDecodeError:
        return _refused(record, "bad_utf8", "", "the value is not UTF-8")
    except (ValueError, RecursionError):
        return _refused(record, "bad_json", "", "an undeclared field is not JSON")
    names = {field.wire_name for field in event_type.fields}
    if len(set(keys)) < len(keys):
        declared = [key for key, times in Counter(keys).items() if times > 1 and key in names]
        return _refused(record, "duplicate_key", declared[0] if declared else "", "a key stands twice")
    return Entry(record, event, event.occurred_at.timestamp(), None, len(set(keys) - names))


def _top_level_keys(value: bytes) -> list[str]:
    """The keys of a JSON object, repeated keys as often as they occur; its numbers may have any length."""
    pairs: list[tuple[str, Any]] = json.loads(value.decode(), object_pairs_hook=list, parse_int=float)
    return [key for key, _ in pairs]


def _refused(record: Record, reason: Reason, field: str, error: str) -> Entry:
    return Entry(record, None, -1.0, DeadLetter(reason, field, error))


def _reason(event_type: EventType, error: Exception) -> DeadLetter:
    """A parse error as a dead letter, in our own words."""
    if isinstance(error, UnicodeDecodeError):
        return DeadLetter("bad_utf8", "", "the value is not UTF-8")
    if isinstance(error, RecursionError):
        return DeadLetter("bad_json", "", "nested too deep")
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return _truncated_or_bad(text)
    missing = re.fullmatch(r"Object missing required field `(.+)`", text)
    if missing:
        return DeadLetter("missing_field", missing[1], "a required field is not there")
    at = re.search(r" - at `\$\.([^`.\[]+)", text)
    return _of_field(event_type, at[1] if at else "", text)


def _truncated_or_bad(text: str) -> DeadLetter:
    if "truncated" in text:
        return DeadLetter("truncated", "", "the value ends inside the document")
    position = re.search(r"\(byte (\d+)\)", text)
    return DeadLetter("bad_json", "", f"not JSON at byte {position[1]}" if position else "not JSON")


# What msgspec says of a value, and what that is called here. The first that matches counts.
_KINDS: tuple[tuple[str, Reason, str], ...] = (
    (r"Invalid enum value", "unknown_value", "not one of the declared values"),
    (r"of length >= ", "empty", "an empty text"),
    (r"got `null`", "empty", "null where a value is required"),
    (r"of length <= ", "too_long", "a text longer than declared"),
    (r"out of range|Expected `\w+(?: \| null)?` [<>]", "out_of_range", "a number out of range"),
    (r"datetime", "wrong_type", "not an RFC 3339 time with a zone"),
)  # fmt: skip


def _of_field(event_type: EventType, field: str, text: str) -> DeadLetter:
    declared = field if field in {f.wire_name for f in event_type.fields} else ""
    for pattern, reason, error in _KINDS:
        if re.search(pattern, text):
            return DeadLetter(reason, declared, error)
    types = re.match(r"Expected `([\w| ]+)`, got `(\w+)`", text)
    return DeadLetter(
        "wrong_type", declared, f"expected {types[1]}, got {types[2]}" if types else "a value of another type"
    )
