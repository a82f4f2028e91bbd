"""Extremes and different codes of windows that share slots are those of each window looked through by itself."""

from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamscore.core.events.aggregate import Aggregate, AggregateKind, raw
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import FeatureSet
from streamscore.core.events.field import Columns
from streamscore.core.history.entity_history import EntityHistory
from streamscore.core.history.sliding import NONE, different, in_passes, largest
from tests.unit.core.history.test_history_laws import Numbered

LAW = settings(deadline=None, max_examples=200)
HOUR = 3_600_000_000  # µs


class Case(NamedTuple):
    """Values that some slots have, codes, and windows of them."""

    values: np.ndarray
    given: np.ndarray
    codes: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def sums(self) -> np.ndarray:
        columns = np.stack([self.values * self.given, self.given, self.codes], axis=1)
        return np.concatenate([np.zeros((1, 3), np.int64), np.cumsum(columns, axis=0)])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Slots of several entities; windows that move forward in each, and some that do as they like."""
    seed, slots = draw(st.integers(0, 1 << 32)), draw(st.integers(1, 900))
    random = np.random.default_rng(seed)
    values = random.integers(-5, 5, slots) if draw(st.booleans()) else random.integers(-(1 << 37), 1 << 37, slots)
    if draw(st.booleans()):
        values = np.sort(values)[:: draw(st.sampled_from([1, -1]))]  # the most peaks, and the fewest
    most = draw(st.sampled_from([2, 200, 100_000]))
    codes = random.integers(0, most, slots) * draw(st.sampled_from([1, 64, 0x9E3779B97F4A7C1]))
    starts = np.unique(random.integers(0, slots, draw(st.integers(1, 4))))
    ends = np.append(starts[1:], slots + 1) - 1
    windows = []
    for start, end in zip(starts, ends, strict=True):
        rows, width = draw(st.integers(0, 60)), draw(st.integers(0, slots))
        high = np.sort(random.integers(start, end + 1, rows))
        windows.append((np.maximum(start, high - width), high))
    rows = draw(st.integers(0, 10))
    windows.append(tuple(np.sort(random.integers(0, slots + 1, (2, rows)), axis=0)))
    windows.append((np.zeros(2, np.int64), np.zeros(2, np.int64)))  # of unknown entities
    low, high = (np.concatenate(part) for part in zip(*windows, strict=True))
    mixed = random.permutation(len(low))
    return Case(values, random.integers(0, 2, slots), codes, low[mixed], high[mixed])


def each(case: Case) -> list[slice]:
    return [slice(low, high) for low, high in zip(case.low, case.high, strict=True)]


@LAW
@given(case=cases(), shuffle=st.booleans())
def test_extremes_are_those_of_each_window(case: Case, shuffle: bool) -> None:
    """In passes and in any other order, with and without values that are missing."""
    order = np.arange(len(case.low)) if shuffle else in_passes(case.low, case.high)
    full = case._replace(given=np.ones_like(case.given))
    for column, part in ((1, case), (NONE, full)):
        held = [part.values[window][part.given[window] > 0] for window in each(part)]
        for sign, extreme in ((1, np.max), (-1, np.min)):
            right = [float(extreme(values)) if len(values) else np.nan for values in held]
            found = largest(part.sums, (0, column), sign, (part.low, part.high), order)
            assert np.array_equal(found, right, equal_nan=True)


@LAW
@given(case=cases(), shuffle=st.booleans(), data=st.data())
def test_different_codes_are_those_of_each_window(case: Case, shuffle: bool, data: st.DataObject) -> None:
    """In passes and in any other order, with the row's own code, which may be none."""
    order = np.arange(len(case.low)) if shuffle else in_passes(case.low, case.high)
    own = np.array(
        [data.draw(st.sampled_from([0, 12345, *case.codes[window][:2].tolist()])) for window in each(case)], np.int64
    )
    right = [len({*case.codes[w].tolist(), code} - {0}) for w, code in zip(each(case), own.tolist(), strict=True)]
    assert different(case.sums, 2, (case.low, case.high), own, order).tolist() == right


SPANS = ((timedelta(hours=30), timedelta(0)), (timedelta(hours=7), timedelta(hours=5)))
KINDS: dict[AggregateKind, str] = {"min": "amount", "max": "fee", "distinct": "terminal"}
HOT = EventType(
    "hot",
    Numbered,
    ("customer",),
    FeatureSet(()),
    "bad",
    history=tuple(
        Aggregate(f"{kind} {window} {current}", kind, ("customer",), window, value, delay, current)
        for kind, value in KINDS.items()
        for window, delay in SPANS
        for current in ([True, False] if not delay else [True])
    ),
)


def hot(rows: int, random: np.random.Generator) -> Columns:
    """Most events are one customer's; times are of whole quarters of an hour, so that many are equal."""
    amounts = random.integers(0, 9000, rows) / 100
    return {
        raw("event_id"): random.permutation(rows),
        raw("customer"): np.where(random.random(rows) < 0.8, 1, random.integers(2, 30, rows)),
        raw("terminal"): [f"t{n}" for n in random.integers(0, 150, rows)],
        "occurred_at": random.integers(0, 400, rows) * HOUR // 4,
        "amount": np.where(random.random(rows) < 0.3, np.nan, amounts),
        "fee": amounts,
    }


def brute(aggregate: Aggregate, told: Columns, row: int) -> float:
    """The definition, of columns."""
    at, ids = told["occurred_at"], told[raw("event_id")]
    until = at[row] - aggregate.delay // timedelta(microseconds=1)
    since = until - aggregate.window // timedelta(microseconds=1)
    before = (at < at[row]) | ((at == at[row]) & (ids <= ids[row]))
    window = before & (at <= until) & (at > since) & (told[raw("customer")] == told[raw("customer")][row])
    window[row] &= aggregate.current
    if aggregate.kind == "distinct":
        return float(len({told[raw("terminal")][k] for k in np.flatnonzero(window)}))
    values = told[aggregate.value][window]
    values = values[~np.isnan(values)]
    extreme = np.max if aggregate.kind == "max" else np.min
    return float(extreme(values)) if len(values) else np.nan


@pytest.mark.parametrize("seed", range(3))
def test_a_hot_entity_beside_cold_ones(seed: int) -> None:
    """Folded in any order, some twice, and asked in one batch, in any order, every number is that of the definition."""
    random, rows = np.random.default_rng(seed), 1500
    told = hot(rows, random)
    history = EntityHistory(HOT)
    order = np.concatenate([random.permutation(rows), random.integers(0, rows, 100)])
    for part in np.array_split(order, 7):
        history.fold(history.read(taken(told, part)))
    asked = random.permutation(rows)
    found = history.query(history.read(taken(told, asked)))
    for aggregate in HOT.history:
        right = [brute(aggregate, told, row) for row in asked]
        assert np.array_equal(found[aggregate.name], right, equal_nan=True), aggregate.name


def taken(columns: Columns, rows: np.ndarray) -> Columns:
    return {n: v[rows] if isinstance(v, np.ndarray) else [v[row] for row in rows] for n, v in columns.items()}


@pytest.mark.parametrize("seed", range(3))
def test_windows_of_an_entity_move_forward(seed: int) -> None:
    """In passes, with a delay and without, neither end of an entity's windows goes back, whatever the rows' order."""
    random = np.random.default_rng(seed)
    told, history = hot(1000, random), EntityHistory(HOT)
    history.fold(history.read(taken(told, random.permutation(1000)[:800])))
    rows = history.read(taken(told, random.permutation(1000)))
    key = history._keys[0]
    hashes = rows.hashes[key.entity]
    windows = key.timeline.windows(hashes, rows.at, rows.ids, key._spans)
    for low, high in zip(*windows, strict=True):
        order = in_passes(low, high)
        for entity in np.unique(hashes):
            ours = order[hashes[order] == entity]
            assert (np.diff(low[ours]) >= 0).all()
            assert (np.diff(high[ours]) >= 0).all()
