"""The laws of an event type: what decoding, features and reasons rely on.

`check_event_type` tries them on events that it draws. Each law is a function too, for events of another source.
"""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

import msgspec
import numpy as np

from streamscore.core.events.decode import Entry, Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import UNKNOWN, Columns
from streamscore.core.events.record import END_OF_TIME, Record
from streamscore.core.history.entity_history import EntityHistory
from streamscore.testing.events import events_of

LIMITS = Limits(max_bytes=1 << 20)


def check_event_type(event_type: EventType, *, n: int = 40, seed: int = 0) -> None:
    """Hold the laws of an event type on `n` random events. AssertionError says which law is broken, and by what.

    An event survives encoding; features are float32, finite or NaN, and depend on nothing but the event; a category's
    code has a place in the scaler; every reason can be written; whatever bytes come in become an event or a dead
    letter, whatever stands beside them.

        >>> streamscore.testing.check_event_type(streamscore.TRANSACTION)
    """
    events = events_of(event_type, n, seed)
    messages = [msgspec.json.encode(event) for event in events]
    check_names(event_type)
    check_reasons(event_type)
    check_categories_have_codes(event_type)
    for event in events:
        check_round_trip(event_type, event)
    random = np.random.default_rng(seed)
    check_features(event_type, messages, random.permutation(len(messages)).tolist())
    check_neighbours(event_type, _broken(messages, random))


def _broken(messages: Sequence[bytes], random: np.random.Generator) -> list[bytes]:
    """Messages cut in two at any byte, and messages of which a byte was replaced, between whole ones."""
    found: list[bytes] = []
    for message in messages:
        at = int(random.integers(1, len(message)))
        found += [message, message[:at], message[at:]]
        found.append(message[: at - 1] + random.bytes(1) + message[at:])
    return found


def require(holds: bool, law: str) -> None:
    """AssertionError with the law where it does not hold."""
    if not holds:
        raise AssertionError(law)


def entries_of(event_type: EventType, messages: Sequence[bytes]) -> list[Entry]:
    """What becomes of messages at offsets 0, 1, 2 … of one partition."""
    records = [Record("events", 0, offset, -1, None, message, None) for offset, message in enumerate(messages)]
    return decode(event_type, records, END_OF_TIME, LIMITS)


def check_round_trip(event_type: EventType, values: dict[str, Any]) -> None:
    """A valid event decodes, encodes and decodes again to the same event and the same features; it is frozen."""
    name = event_type.name
    (entry,) = entries_of(event_type, [msgspec.json.encode(values)])
    require(entry.event is not None, f"{name}: a valid event is refused: {entry.dead_letter}")
    require(entry.ignored == 0, f"{name}: {entry.ignored} declared fields are ignored")
    event: Any = entry.event
    (again,) = entries_of(event_type, [msgspec.json.encode(event)])
    require(again.event == event, f"{name}: an event changes when it is encoded and decoded")
    for field in event_type.fields:
        if field.kind != "time":
            found, given = getattr(event, field.name), values.get(field.wire_name)
            require(found == given, f"{name}: {field.wire_name} is read as another value")
        require(_is_frozen(event, field.name), f"{name}: {field.name} of an event can be set; declare frozen=True")
    same = np.array_equal(matrix_of(event_type, [event]), matrix_of(event_type, [again.event]), equal_nan=True)
    require(same, f"{name}: features change when the event is encoded and decoded")


def _is_frozen(event: Any, name: str) -> bool:
    try:
        setattr(event, name, getattr(event, name))
    except AttributeError:
        return True
    return False


def columns_of(event_type: EventType, events: Sequence[Any]) -> Columns:
    """Columns as of a history that is empty, where each event is the first of its entities."""
    return EntityHistory(event_type).extended(event_type, event_type.columns(events))


def matrix_of(event_type: EventType, events: Sequence[Any]) -> np.ndarray:
    """float32 (events, features), as of a history that is empty."""
    return event_type.features.matrix(columns_of(event_type, events), len(events))


def check_features(event_type: EventType, messages: Sequence[bytes], order: Sequence[int]) -> None:
    """Features are float32, finite or NaN, the same alone or in any order, and spoil no input."""
    name, names = event_type.name, event_type.features.names
    events = [entry.event for entry in entries_of(event_type, messages)]
    columns = columns_of(event_type, events)
    before = {column: np.array(values).copy() for column, values in columns.items()}
    matrix = event_type.features.matrix(columns, len(events))
    require(matrix.dtype == np.float32, f"{name}: features are {matrix.dtype}, not float32")
    require(matrix.shape == (len(events), len(names)), f"{name}: features have shape {matrix.shape}")
    infinite = np.isinf(matrix).any(axis=0)
    require(not infinite.any(), f"{name}: features {_named(names, infinite)} are infinite")
    spoiled = [c for c, values in columns.items() if not np.array_equal(before[c], values, equal_nan=_floats(values))]
    require(not spoiled, f"{name}: a feature function changes its input columns {spoiled}")
    for other, what in (
        (event_type.features.matrix(columns, len(events)), "when they are computed again"),
        (matrix_of(event_type, [events[row] for row in order])[np.argsort(order)], "with the order of events"),
        (np.vstack([matrix_of(event_type, [event]) for event in events]), "with the events beside them"),
    ):
        changed = ~((other == matrix) | (np.isnan(other) & np.isnan(matrix))).all(axis=0)
        require(not changed.any(), f"{name}: features {_named(names, changed)} change {what}")
    check_categories_in_range(event_type, matrix)


def _floats(values: Any) -> bool:
    return np.asarray(values).dtype.kind == "f"


def _named(names: Sequence[str], which: np.ndarray) -> list[str]:
    return [name for name, chosen in zip(names, which.tolist(), strict=True) if chosen]


def check_categories_in_range(event_type: EventType, matrix: np.ndarray) -> None:
    """A categorical feature's value is one of its codes, so that it has a column in the scaler."""
    for feature, values in zip(event_type.features.features, matrix.T, strict=True):
        if feature.categories:
            inside = np.isin(values, np.arange(UNKNOWN, feature.categories)).all()
            require(bool(inside), f"{event_type.name}: {feature.name} is none of {feature.categories} codes")


def check_categories_have_codes(event_type: EventType) -> None:
    """A categorical feature of one field has as many codes as the field has values, and one for unknown."""
    fields = {field.name: field for field in event_type.fields}
    for feature in event_type.features.features:
        if feature.categories and len(feature.fields) == 1 and feature.fields[0] in fields:
            needed = len(fields[feature.fields[0]].codes) + 1
            found = feature.categories
            require(found == needed, f"{event_type.name}: {feature.name} has {found} categories, {needed} are needed")


def check_reasons(event_type: EventType) -> None:
    """Every reason's words can be written for any value a feature may take, and hold no stray braces."""
    for feature in event_type.features.features:
        for words in (feature.reason, feature.otherwise or feature.reason):
            for value in (0.0, 1.0, -2.5, 1e9, float("inf")):
                try:
                    text = words.format(value=value)
                except (KeyError, IndexError, ValueError) as error:
                    raise AssertionError(f"{feature.name}: the reason {words!r} cannot be written: {error}") from None
                require(bool(text), f"{event_type.name}: the reason of {feature.name} is empty")
                require(not set("{}") & set(text), f"{event_type.name}: the reason of {feature.name} has stray braces")


def check_names(event_type: EventType) -> None:
    """Features have names of their own, and decisions too; the upper band is part of the two upper ones."""
    name, names = event_type.name, event_type.features.names
    require(len(set(names)) == len(names), f"{name}: two features have one name")
    require(len(set(event_type.decisions)) == 3, f"{name}: two decisions have one name")
    in_order = 0 < event_type.decline_rate <= event_type.review_rate < 1
    require(in_order, f"{name}: 0 < decline_rate <= review_rate < 1 does not hold")


def check_neighbours(event_type: EventType, messages: Sequence[bytes]) -> None:
    """A message becomes an event or a dead letter, and the same one as it becomes alone."""
    names = {field.wire_name for field in event_type.fields} | {""}
    for entry, message in zip(entries_of(event_type, messages), messages, strict=True):
        (alone,) = entries_of(event_type, [message])
        same = (entry.event, entry.at, entry.dead_letter, entry.ignored) == (
            alone.event,
            alone.at,
            alone.dead_letter,
            alone.ignored,
        )
        require(same, f"{event_type.name}: what becomes of a message depends on those beside it")
        require((entry.event is None) != (entry.dead_letter is None), f"{event_type.name}: a message is lost")
        if entry.dead_letter is not None:
            require(entry.dead_letter.field in names, f"{event_type.name}: a dead letter names an unknown field")
        if entry.event is not None:
            at = entry.event.occurred_at.astimezone(UTC).timestamp()
            require(0 <= entry.at == at, f"{event_type.name}: an event has another time than its own")
