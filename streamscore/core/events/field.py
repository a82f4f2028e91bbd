"""The fields of an event, as its struct declares them, and how their values become columns.

An event is declared once, as a msgspec Struct. Its annotations carry everything that decoding, features,
files and privacy need to know. Nothing here knows Kafka, files or clocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any, Literal, Protocol

import msgspec
import numpy as np

FieldKind = Literal["time", "number", "category", "text"]
Columns = Mapping[str, Any]

# Codes of a category start at 1; 0 says "none of the declared values".
UNKNOWN = 0


class Event(Protocol):
    """What every event carries, whatever its type."""

    @property
    def event_id(self) -> str | int: ...
    @property
    def occurred_at(self) -> datetime: ...


@dataclass(frozen=True)
class Field:
    """One declared field of an event.

    `codes` numbers the declared values of a category from 1. A closed field refuses every other
    value; an open one takes it, with the code UNKNOWN. `quoted` says whether JSON writes the
    field's values between quotation marks, `ranged` whether a number has a least and a largest value;
    `largest` is the largest magnitude it then has. `whole` tells integers, `nullable` what may be None.
    `value_type` is str, int, float, bool or datetime.
    """

    name: str
    wire_name: str
    kind: FieldKind
    optional: bool
    codes: Mapping[Any, int]
    closed: bool
    protected: bool
    quoted: bool
    ranged: bool
    largest: float | None
    whole: bool
    nullable: bool
    value_type: type


def known(*values: str | int) -> dict[str, Any]:
    """Declare an open category: `Meta(extra=known("EUR", "USD"))`; other values are UNKNOWN."""
    return {"known": values}


def protected() -> dict[str, Any]:
    """Declare a field whose features are never given as a reason: `Meta(extra=protected())`."""
    return {"protected": True}


def declared_fields(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """The fields of an event struct, in declaration order."""
    info = msgspec.inspect.type_info(struct)
    if not isinstance(info, msgspec.inspect.StructType):
        raise TypeError(f"{struct!r} is not a msgspec Struct")
    return tuple(_declared(field) for field in info.fields)


def _declared(field: msgspec.inspect.Field) -> Field:
    kind, extra = unwrapped(field.type)
    closed = isinstance(kind, msgspec.inspect.LiteralType)
    values = kind.values if isinstance(kind, msgspec.inspect.LiteralType) else extra.get("known", ())
    text = isinstance(values[0], str) if values else isinstance(kind, _QUOTED)
    if any(isinstance(value, str) != text for value in values):
        raise TypeError(f"field {field.name!r} mixes texts and numbers")
    return Field(
        name=field.name,
        wire_name=field.encode_name,
        kind="category" if values else _PLAIN_KINDS[type(kind)],
        optional=not field.required,
        codes={value: code for code, value in enumerate(values, UNKNOWN + 1)},
        closed=closed,
        protected=bool(extra.get("protected", False)),
        quoted=text,
        # An integer without a range may be larger than any number that a column can hold.
        ranged=not isinstance(kind, msgspec.inspect.IntType) or bool(values) or _largest(kind) is not None,
        largest=_largest(kind),
        whole=isinstance(kind, msgspec.inspect.IntType) or (bool(values) and not text),
        nullable=_nullable(field.type),
        value_type=type(values[0]) if values else _VALUE_TYPES[type(kind)],
    )


def _largest(kind: msgspec.inspect.Type) -> float | None:
    """The largest magnitude of a number that is bounded on both sides."""
    if isinstance(kind, msgspec.inspect.BoolType):
        return 1.0
    if not isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        return None
    least = kind.ge if kind.ge is not None else kind.gt
    most = kind.le if kind.le is not None else kind.lt
    return None if least is None or most is None else float(max(abs(least), abs(most)))


def _nullable(kind: msgspec.inspect.Type) -> bool:
    while isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    return isinstance(kind, msgspec.inspect.UnionType) and kind.includes_none


def unwrapped(kind: msgspec.inspect.Type) -> tuple[msgspec.inspect.Type, dict[str, Any]]:
    """A field's own type and what its Meta declares, without `| None` and without the Meta."""
    extra: dict[str, Any] = {}
    while isinstance(kind, msgspec.inspect.Metadata | msgspec.inspect.UnionType):
        if isinstance(kind, msgspec.inspect.Metadata):
            extra |= kind.extra or {}
            kind = kind.type
        else:
            others = [each for each in kind.types if not isinstance(each, msgspec.inspect.NoneType)]
            if len(others) > 1:
                break
            kind = others[0]
    return kind, extra


_QUOTED = (msgspec.inspect.StrType, msgspec.inspect.DateTimeType)
_PLAIN_KINDS: dict[type, FieldKind] = {
    msgspec.inspect.DateTimeType: "time",
    msgspec.inspect.FloatType: "number",
    msgspec.inspect.IntType: "number",
    msgspec.inspect.BoolType: "number",
    msgspec.inspect.StrType: "text",
}
_VALUE_TYPES: dict[type, type] = {
    msgspec.inspect.DateTimeType: datetime,
    msgspec.inspect.FloatType: float,
    msgspec.inspect.IntType: int,
    msgspec.inspect.BoolType: bool,
    msgspec.inspect.StrType: str,
}


def column(field: Field, values: Sequence[Any]) -> Any:
    """One field's values as a column; None is missing.

    time → int64 microseconds since 1970 UTC; number → float64, missing NaN; category → int64
    codes, UNKNOWN for None and for values that were not declared; text → the values as given.
    """
    if field.kind == "time":
        return microseconds(values)
    if field.kind == "category":
        return np.fromiter(map(field.codes.get, values, repeat(UNKNOWN)), np.int64, len(values))
    if field.kind == "number":
        return np.asarray(values, np.float64)
    return values


def raw_column(field: Field, values: Sequence[Any]) -> Any:
    """One field's values as ids: texts as they are, integers as int64.

    An integer beyond 64 bits counts as the nearest within. Integers that may be None are texts, for
    None to stay None.
    """
    if field.quoted:
        return values
    if field.nullable:
        return [None if value is None else str(value) for value in values]
    try:
        return np.asarray(values, np.int64)
    except OverflowError:
        return np.array([min(max(value, -(1 << 63)), (1 << 63) - 1) for value in values], np.int64)


def microseconds(times: Sequence[datetime]) -> np.ndarray:
    """Exact int64 microseconds since 1970 UTC of datetimes with a zone.

    `timestamp()` is a float64 of seconds: below 2**32, until the year 2106, its error is at most
    half of 2**-20 s, so rounding gives back the exact microsecond.
    """
    seconds = np.fromiter(map(datetime.timestamp, times), np.float64, len(times))
    return np.rint(seconds * 1e6).astype(np.int64)
