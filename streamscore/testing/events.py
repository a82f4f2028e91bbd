"""Random valid events of any event type, drawn from what its struct declares."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from msgspec import inspect

from streamscore.core.events.decode import Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import unwrapped
from streamscore.core.events.record import END_OF_TIME, Record

START = datetime(2025, 1, 1, tzinfo=UTC)
SECONDS = 60 * 86_400.0
# One value in so many is missing where it may be, and not among the declared ones where that is allowed.
RARE = 8
# Events of each entity, on average: histories need entities that come again.
EVENTS_OF_ENTITY = 4
LETTERS = list("abcdefghijklmnopqrstuvwxyz")

Draw = Callable[[Any, np.random.Generator], Any]


def events_of(event_type: EventType, n: int, seed: int) -> list[dict[str, Any]]:
    """`n` valid events by their wire names, oldest first, with times as RFC 3339 text. The same seed gives the same.

    Times lie in the first 60 days of 2025. Ids of events differ, and each entity has about four events. An optional
    field is missing now and then. ValueError names the field of a struct that declares more than ranges and lengths,
    such as a pattern, when no valid value was found.

        >>> first, second = streamscore.testing.events_of(streamscore.TRANSACTION, 2, seed=1)
        >>> first["occurred_at"] <= second["occurred_at"]
        True
    """
    random = np.random.default_rng(seed)
    seconds = np.sort(random.uniform(0, SECONDS, n)).tolist()
    declared = inspect.type_info(event_type.struct)
    if not isinstance(declared, inspect.StructType):
        raise TypeError(f"{event_type.struct!r} is not a msgspec Struct")
    events = []
    for number in range(n):
        event: dict[str, Any] = {}
        for field in declared.fields:
            if not field.required and random.integers(RARE) == 0:
                continue
            kind, extra = unwrapped(field.type)
            name = field.encode_name
            if field.name == "occurred_at":
                event[name] = _time(seconds[number])
            elif field.name == "event_id":
                event[name] = _id(kind, number, f"{seed}-")
            elif field.name in event_type.entities:
                event[name] = _id(kind, int(random.integers(max(1, n // EVENTS_OF_ENTITY))), f"{field.name[:4]}-")
            else:
                event[name] = _value(kind, extra.get("known", ()), random)
        events.append(event)
    _check(event_type, events)
    return events


def _time(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def _id(kind: Any, number: int, prefix: str) -> str | int:
    """The id of a number: as many numbers, as many ids."""
    if not isinstance(kind, inspect.StrType):
        return number + (_bounds(kind, 0, 1)[0])
    text = f"{prefix}{number}" if len(prefix) + len(str(number)) <= (kind.max_length or 64) else str(number)
    return text.rjust(kind.min_length or 0, "0")


def _value(kind: Any, known: tuple[Any, ...], random: np.random.Generator) -> Any:
    values = kind.values if isinstance(kind, inspect.LiteralType) else known
    if values and (isinstance(kind, inspect.LiteralType) or random.integers(RARE)):
        return values[random.integers(len(values))]
    return _DRAW[type(kind)](kind, random)


def _text(kind: Any, random: np.random.Generator) -> str:
    shortest = kind.min_length or 0
    longest = min(20, kind.max_length) if kind.max_length is not None else 20
    length = int(random.integers(shortest, max(shortest, longest) + 1))
    return "".join(random.choice(LETTERS, length))


def _integer(kind: Any, random: np.random.Generator) -> int:
    low, high = _bounds(kind, -(2**31), 2**31)
    return int(random.integers(low, high, endpoint=True))


def _number(kind: Any, random: np.random.Generator) -> float:
    """Small numbers more often than large ones, with two decimals where the range has room for them."""
    least = kind.ge if kind.ge is not None else kind.gt if kind.gt is not None else -1e9
    most = kind.le if kind.le is not None else kind.lt if kind.lt is not None else 1e9
    value = float(least + (most - least) * random.random() ** 3)
    rounded = round(value, 2)
    return rounded if least < rounded < most else value


def _bounds(kind: Any, low: int, high: int) -> tuple[int, int]:
    """The least and the largest integer of a type."""
    least = kind.ge if kind.ge is not None else kind.gt + 1 if kind.gt is not None else low
    most = kind.le if kind.le is not None else kind.lt - 1 if kind.lt is not None else max(high, least)
    return int(least), int(most)


_DRAW: dict[type, Draw] = {
    inspect.StrType: _text,
    inspect.IntType: _integer,
    inspect.FloatType: _number,
    inspect.BoolType: lambda _, random: bool(random.integers(2)),
    inspect.DateTimeType: lambda _, random: _time(float(random.uniform(0, SECONDS))),
}


def _check(event_type: EventType, events: list[dict[str, Any]]) -> None:
    records = [Record("events", 0, row, -1, None, msgspec.json.encode(event), None) for row, event in enumerate(events)]
    for entry in decode(event_type, records, END_OF_TIME, Limits(max_bytes=1 << 20)):
        if entry.dead_letter is not None:
            field, error = entry.dead_letter.field, entry.dead_letter.error
            raise ValueError(f"no valid {event_type.name} events can be drawn: {field}: {error}")
