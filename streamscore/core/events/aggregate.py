"""What an event looks like against the past of its entities: one declared number over a window of event time.

An aggregate is declared by an event type and becomes a column that its features read like any field.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from streamscore.core.events.field import Field

AggregateKind = Literal["count", "sum", "mean", "std", "min", "max", "distinct", "since_last", "risk"]

MEASURED: tuple[AggregateKind, ...] = ("sum", "mean", "std", "min", "max")
# Scaled to integers, values are below this: then no sum over a window can leave 64 bits, however
# many of the at most 2**25 events of an entity are in it.
LARGEST_SCALED = 1 << 37
# A century: µs before any time of an event that stay far inside 64 bits.
LONGEST = timedelta(days=36_525)


@dataclass(frozen=True)
class Aggregate:
    """One number over the events of the same entity in (t − delay − window, t − delay], t the event's own time.

    Of events at equal times only those with smaller ids precede. `entity` names the fields that
    make the key. `current` says whether the event itself counts (without a delay; with one it is
    outside the window). `value` is the number that sum, mean, std, min and max are taken of, in fixed
    point of `decimals`, or the field whose different values `distinct` counts.

    Of an empty window, count and sum are 0; mean, min and max are NaN. std is that of a sample, and NaN below two
    values. since_last is the seconds since the window's last other event, and NaN without one. risk is the share of
    the window's events that were known to be positive at t. The label of the event itself never counts.
    """

    name: str
    kind: AggregateKind
    entity: tuple[str, ...]
    window: timedelta
    value: str = ""
    delay: timedelta = timedelta(0)
    current: bool = True
    decimals: int = 2

    @property
    def sources(self) -> tuple[str, ...]:
        """The fields it is made of, besides id and time."""
        return (*self.entity, self.value) if self.value else self.entity


def raw(field: str) -> str:
    """The name of the column that holds a field's values as ids: exact integers, or texts."""
    return f"{field}:raw"


def identified(aggregates: Sequence[Aggregate]) -> set[str]:
    """The fields whose values are needed as ids."""
    counted = {aggregate.value for aggregate in aggregates if aggregate.kind == "distinct"}
    return counted.union(*(aggregate.entity for aggregate in aggregates), ("event_id",)) if aggregates else set()


def measured(aggregates: Sequence[Aggregate]) -> set[str]:
    """The fields whose values are needed as numbers."""
    return {aggregate.value for aggregate in aggregates if aggregate.kind in MEASURED}


def wrong(aggregate: Aggregate, fields: Collection[Field]) -> str | None:
    """Why an aggregate cannot be computed of events with these fields, or None."""
    return next(_problems(aggregate, {field.name: field for field in fields}), None)


def _problems(aggregate: Aggregate, fields: Mapping[str, Field]) -> Iterator[str]:
    """What is wrong, one thing after another; only what comes first can be relied on."""
    yield from _slips(aggregate)
    if not aggregate.entity:
        yield "names no entity"
    unknown = sorted({*aggregate.sources} - fields.keys())
    if unknown:
        yield f"uses unknown fields {unknown}"
    if aggregate.name in fields:
        yield "has the name of a field"
    unfit = [name for name in aggregate.entity if fields[name].nullable or not _is_id(fields[name])]
    if unfit:
        yield f"needs required texts, integers or categories as entity, and not {unfit}"
    if aggregate.window <= timedelta(0) or aggregate.delay < timedelta(0):
        yield "needs a window longer than nothing, and no negative delay"
    if aggregate.window + aggregate.delay > LONGEST:
        yield f"reaches back more than {LONGEST.days} days"
    yield from _value_problems(aggregate, fields.get(aggregate.value))


def _slips(aggregate: Aggregate) -> Iterator[str]:
    """What a type checker would have said of a declaration."""
    if aggregate.kind not in get_args(AggregateKind):
        yield f"is a {aggregate.kind!r}, and there are {', '.join(get_args(AggregateKind))}"
    if not isinstance(aggregate.entity, tuple):
        yield f"needs its entity as a tuple of fields, such as ({aggregate.entity!r},)"
    if not all(isinstance(duration, timedelta) for duration in (aggregate.window, aggregate.delay)):
        yield "needs its window, and its delay, as a timedelta"


def _is_id(field: Field) -> bool:
    return field.kind in ("text", "category") or (field.kind == "number" and field.whole)


def _value_problems(aggregate: Aggregate, value: Field | None) -> Iterator[str]:
    kind, decimals = aggregate.kind, aggregate.decimals
    if value is None:
        if kind in MEASURED or kind == "distinct":
            yield f"needs a value for its kind, {kind}"
    elif kind == "distinct":
        if not _is_id(value):
            yield f"counts texts, integers or categories, and {value.name!r} is none"
    elif kind not in MEASURED:
        yield f"takes no value, being a {kind}"
    elif value.kind != "number" or value.largest is None:
        yield f"needs a number with ge and le, and {value.name!r} is none"
    elif decimals < 0 or value.largest * 10**decimals >= LARGEST_SCALED:
        yield f"cannot hold {value.name!r} up to {value.largest:g} exactly with {decimals} decimals"
