"""The law of history: every number is what ten plain lines say, however events and labels came."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from math import nan, sqrt
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Meta

from streamscore.core.events.aggregate import Aggregate, AggregateKind
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import FeatureSet
from streamscore.core.events.label import label_columns, label_type
from streamscore.core.history.entity_history import Bounds, EntityHistory
from tests.support.copied import again

EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
LAW = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
HOUR = timedelta(hours=1)

At = Annotated[datetime, Meta(tz=True)]
Amount = Annotated[float, Meta(ge=-1e6, le=1e6)]


class Numbered(msgspec.Struct, frozen=True):
    event_id: int
    occurred_at: At
    customer: int
    terminal: str
    channel: Literal["a", "b", "c"] | None
    amount: Amount | None
    fee: Amount


class Named(msgspec.Struct, frozen=True):
    event_id: str
    occurred_at: At
    customer: int
    terminal: str
    channel: Literal["a", "b", "c"] | None
    amount: Amount | None
    fee: Amount


class Answer(NamedTuple):
    """A label of an event."""

    event: Any
    label: bool
    labelled_at: datetime


def declared() -> tuple[Aggregate, ...]:
    """Every kind, over keys of one and two fields, windows of several lengths, with and without delay and itself."""
    values: dict[AggregateKind, str] = {
        "count": "", "sum": "amount", "mean": "amount", "std": "fee", "min": "amount", "max": "fee",
        "distinct": "channel", "since_last": "", "risk": "",
    }  # fmt: skip
    ways = (
        (("customer",), 2, 0, True),
        (("customer",), 5, 0, False),
        (("terminal",), 3, 2, True),
        (("terminal", "customer"), 30, 0, False),
    )
    found = []
    for kind, value in values.items():
        for entity, window, delay, current in ways:
            name = f"{kind}_{'_'.join(entity)}_{window}"
            found.append(Aggregate(name, kind, entity, window * HOUR, value, delay * HOUR, current))
    found.append(Aggregate("terminals", "distinct", ("customer",), 4 * HOUR, "terminal"))
    found.append(Aggregate("std_amount", "std", ("customer",), 9 * HOUR, "amount", decimals=1))
    return tuple(found)


TYPES = {
    struct: EventType("law", struct, ("customer", "terminal"), FeatureSet(()), "bad", history=declared())
    for struct in (Numbered, Named)
}
Struct = type[Numbered] | type[Named]


def expected(aggregate: Aggregate, event: Any, events: Sequence[Any], answers: Sequence[Answer]) -> float:
    """The definition."""
    until = event.occurred_at - aggregate.delay
    key = [getattr(event, name) for name in aggregate.entity]
    alike = [e for e in {*events, event} if [getattr(e, name) for name in aggregate.entity] == key]
    preceding = [e for e in alike if (e.occurred_at, e.event_id) <= (event.occurred_at, event.event_id)]
    window = [e for e in preceding if until - aggregate.window < e.occurred_at <= until]
    window = [e for e in window if e != event or aggregate.current]
    others = [e for e in window if e != event]
    if aggregate.kind == "risk":
        known = {e: [(a.labelled_at, a.label) for a in answers if a.event == e] for e in others}
        told = [
            max(((at, yes) for at, yes in a if at <= event.occurred_at), default=(0, False)) for a in known.values()
        ]
        return sum(yes for _, yes in told) / len(window) if window else 0.0
    if aggregate.kind == "since_last":
        return min(((event.occurred_at - e.occurred_at).total_seconds() for e in others), default=nan)
    values = (
        [getattr(e, aggregate.value) for e in window if getattr(e, aggregate.value) is not None]
        if aggregate.value
        else []
    )
    if aggregate.kind in ("count", "distinct"):
        return float(len(window) if aggregate.kind == "count" else len(set(values)))
    return statistic(
        aggregate.kind, [Fraction(round(value * 10**aggregate.decimals), 10**aggregate.decimals) for value in values]
    )


def statistic(kind: str, values: list[Fraction]) -> float:
    """A plain statistic of exact values."""
    if kind == "std" and len(values) > 1:
        mean = sum(values) / len(values)
        return sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    if kind == "sum" or not values:
        return float(sum(values)) if kind == "sum" else nan
    if kind == "mean":
        return float(sum(values) / len(values))
    return float(min(values) if kind == "min" else max(values)) if kind in ("min", "max") else nan


def unmatched(bound: int, come: Sequence[Any], answers: Sequence[Answer]) -> int:
    """How many labels there are of events later than a time that did not come."""
    return sum(a.event not in come and a.event.occurred_at.timestamp() * 1e6 > bound for a in set(answers))


def contradictory(answers: Sequence[Answer]) -> int:
    """How often a label says otherwise than the one before it of the same event."""
    found = 0
    for event in {answer.event for answer in answers}:
        told = sorted({(a.labelled_at, a.label) for a in answers if a.event == event})
        found += sum(one != other for (_, one), (_, other) in pairwise(told))
    return found


def ids(struct: Struct) -> st.SearchStrategy[Any]:
    if struct is Numbered:
        return st.integers(-3, 12)
    alphabet = st.sampled_from(["a", "b", "\0", "é", "\U0001f600", "\x01"])
    return st.text(alphabet, max_size=5) | st.text(alphabet, max_size=3).map(lambda text: "a-long-prefix" + text)


def events(struct: Struct) -> st.SearchStrategy[list[Any]]:
    """Few entities and few moments, so that ties and full windows are common; one payload for each id and time.

    They are of two spells: when the later is asked about, the earlier is beyond the horizon.
    """
    hundredths = st.integers(-99, 400).map(lambda n: n / 4)
    one = st.builds(
        struct,
        ids(struct),
        st.builds(lambda spell, half: EPOCH + (spell + half / 2) * HOUR, st.sampled_from([0, 60]), st.integers(0, 40)),
        st.integers(1, 2),
        st.sampled_from(["x", "y"]),
        st.none() | st.sampled_from(["a", "b", "c"]),
        st.none() | hundredths,
        hundredths,
    )
    return st.lists(one, min_size=1, max_size=40, unique_by=lambda e: (e.event_id, e.occurred_at))


@st.composite
def stories(draw: st.DrawFn, struct: Struct) -> tuple[list[Any], list[Any], list[Answer]]:
    """Events that come, events that are only asked for or labelled, and labels: late, corrected, contradictory."""
    every = draw(events(struct))
    come = draw(st.lists(st.sampled_from(every), unique=True))
    times = st.integers(0, 170).map(lambda half: EPOCH + half * HOUR / 2)
    answers = draw(st.lists(st.builds(Answer, st.sampled_from(every), st.booleans(), times), max_size=25))
    return every, come, answers


class Teller:
    """A history that is told things in some order, in batches, and now and then trimmed or started anew."""

    def __init__(self, event_type: EventType) -> None:
        self.event_type, self.labels = event_type, label_type(event_type)
        self.history = EntityHistory(event_type, Bounds(slack=timedelta(0)))

    def fold(self, batch: Sequence[Any]) -> list[bool]:
        return self.history.fold(self.history.read(self.event_type.columns(batch))).tolist()

    def fold_labels(self, answers: Sequence[Answer]) -> None:
        told = [
            self.labels.struct(**{n: getattr(a.event, n) for n in ("event_id", "customer", "terminal", "occurred_at")},
                               label=a.label, labelled_at=a.labelled_at)
            for a in answers
        ]  # fmt: skip
        self.history.fold_labels(label_columns(self.labels, told))

    def trim(self, oldest: datetime, events: int = 1) -> None:
        self.history.trim(int(oldest.timestamp()) * 1_000_000, events)

    def restart(self) -> None:
        """Go on with a new history that adopts a copy of this one, made a few rows at a time."""
        self.history = again(self.event_type, self.history, rows=3, slack=timedelta(0))

    def ask(self, asked: Sequence[Any]) -> dict[str, np.ndarray]:
        return self.history.query(self.history.read(self.event_type.columns(asked)))


BETWEEN = st.sampled_from(["nothing", "trim", "restart"])


def told_somehow(
    draw: Callable[..., Any],
    teller: Teller,
    come: list[Any],
    answers: list[Answer],
    oldest: datetime,
    what: st.SearchStrategy[str] = BETWEEN,
) -> None:
    """Everything in any order, in batches of any size, some of it again, with trims and restarts between."""
    things: list[Any] = draw(st.permutations([*come, *answers]))
    repeated = draw(st.lists(st.sampled_from(things), max_size=8)) if things else []
    things = [*things, *repeated]
    seen: set[Any] = set()
    while things:
        size = draw(st.integers(1, len(things)))
        batch, things = things[:size], things[size:]
        arrived = [thing for thing in batch if not isinstance(thing, Answer)]
        new = teller.fold(arrived)
        horizon = oldest - timedelta(microseconds=teller.history.horizon)
        for event, is_new in zip(arrived, new, strict=True):
            if teller.history.bound < 0 or event.occurred_at > horizon:
                assert is_new == (event not in seen)
            seen.add(event)
        teller.fold_labels([thing for thing in batch if isinstance(thing, Answer)])
        then = draw(what)
        if then == "trim":
            teller.trim(oldest)
        elif then == "restart":
            teller.restart()


@pytest.mark.parametrize("struct", [Numbered, Named])
@LAW
@given(data=st.data())
def test_numbers_are_those_of_the_definition(struct: Struct, data: st.DataObject) -> None:
    """All kinds, keys and windows, with ties, repetitions, late events and labels, corrections, evictions, restarts."""
    event_type = TYPES[struct]
    every, come, answers = data.draw(stories(struct))
    oldest = data.draw(st.sampled_from([EPOCH - HOUR, *sorted(event.occurred_at for event in every)]))
    teller, plain = Teller(event_type), Teller(event_type)
    told_somehow(data.draw, teller, come, answers, oldest)
    asked = [event for event in every if event.occurred_at >= oldest]
    found = teller.ask(asked)
    for aggregate in event_type.history:
        right = [expected(aggregate, event, come, answers) for event in asked]
        assert found[aggregate.name].tolist() == pytest.approx(right, rel=1e-12, abs=0, nan_ok=True), aggregate.name
    teller.trim(oldest, events=1000)
    assert teller.history.unmatched_labels == unmatched(teller.history.bound, come, answers)
    plain.fold(sorted(come, key=lambda event: (event.occurred_at, event.event_id)))
    plain.fold_labels(answers)
    for name, values in plain.ask(asked).items():
        assert np.array_equal(values, found[name], equal_nan=True), name


@LAW
@given(data=st.data())
def test_contradictions_do_not_depend_on_the_order_of_labels(data: st.DataObject) -> None:
    """However labels come, with their events before, between or never, as many are seen to contradict another."""
    _, come, answers = data.draw(stories(Numbered))
    teller = Teller(TYPES[Numbered])
    told_somehow(data.draw, teller, come, answers, EPOCH - 24 * HOUR, what=st.just("nothing"))
    assert teller.history.tally.contradictory_labels == contradictory(answers)
    assert teller.history.tally.labels == len(set(answers))
    assert teller.history.unmatched_labels == unmatched(teller.history.bound, come, answers)
