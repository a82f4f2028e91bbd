"""From windows to numbers: one function for each kind of aggregate, over all rows of a query."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from streamscore.core.events.aggregate import Aggregate, AggregateKind
from streamscore.core.history.arena import Arena
from streamscore.core.history.measure import SumColumn, deviation
from streamscore.core.history.sliding import NONE, different, in_passes, largest

SECOND = 1_000_000  # µs


class Windows(NamedTuple):
    """What an aggregate is made of: slots [low, high) of each row's window in an arena with these measures.

    `at` and `added` are the rows' own times and what they themselves add; `positives` are the
    window's events that were known to be positive.
    """

    arena: Arena
    measures: tuple[SumColumn, ...]
    low: np.ndarray
    high: np.ndarray
    at: np.ndarray
    added: np.ndarray
    positives: np.ndarray


def compute(aggregate: Aggregate, view: Windows) -> np.ndarray:
    """float64 (rows,): an aggregate's number for each row."""
    return _KINDS[aggregate.kind](aggregate, view)


def _itself(aggregate: Aggregate) -> bool:
    """Whether the event itself is in its window."""
    return aggregate.current and not aggregate.delay


def _events(aggregate: Aggregate, view: Windows) -> np.ndarray:
    return view.high - view.low + _itself(aggregate)


def _count(aggregate: Aggregate, view: Windows) -> np.ndarray:
    return _events(aggregate, view).astype(np.float64)


def _total(aggregate: Aggregate, view: Windows, measure: SumColumn) -> np.ndarray:
    """int64 (rows,): the sum of a measure over each window."""
    column = view.measures.index(measure)
    sums = view.arena.sums[:, column]
    total = sums[view.high] - sums[view.low]
    return total + view.added[:, column] if _itself(aggregate) else total


def _value(aggregate: Aggregate) -> SumColumn:
    return SumColumn("value", aggregate.value, aggregate.decimals)


def _given(aggregate: Aggregate, view: Windows) -> np.ndarray:
    """int64 (rows,): how many events of each window have the value; all, where it is required."""
    measure = SumColumn("given", aggregate.value)
    return _total(aggregate, view, measure) if measure in view.measures else _events(aggregate, view)


def _sum(aggregate: Aggregate, view: Windows) -> np.ndarray:
    return _total(aggregate, view, _value(aggregate)) / 10**aggregate.decimals


def _mean(aggregate: Aggregate, view: Windows) -> np.ndarray:
    return _share(_total(aggregate, view, _value(aggregate)), _given(aggregate, view) * 10**aggregate.decimals, np.nan)


def _std(aggregate: Aggregate, view: Windows) -> np.ndarray:
    high, low = (_total(aggregate, view, SumColumn(kind, aggregate.value, aggregate.decimals)) for kind in _LIMBS)
    total = _total(aggregate, view, _value(aggregate))
    return deviation(_given(aggregate, view), total, high, low) / 10**aggregate.decimals


def _extreme(aggregate: Aggregate, view: Windows) -> np.ndarray:
    """The largest or smallest value."""
    value, given, optional = view.measures.index(_value(aggregate)), SumColumn("given", aggregate.value), NONE
    own = view.added[:, value].astype(np.float64)
    if given in view.measures:
        optional = view.measures.index(given)
        own[view.added[:, optional] == 0] = np.nan
    sign = 1 if aggregate.kind == "max" else -1
    order = in_passes(view.low, view.high)
    found = largest(view.arena.sums, (value, optional), sign, (view.low, view.high), order)
    if _itself(aggregate):
        found = np.fmax(found, own) if sign > 0 else np.fmin(found, own)
    return found / 10**aggregate.decimals


def _distinct(aggregate: Aggregate, view: Windows) -> np.ndarray:
    column = view.measures.index(SumColumn("code", aggregate.value))
    own = view.added[:, column] * _itself(aggregate)
    order = in_passes(view.low, view.high)
    return different(view.arena.sums, column, (view.low, view.high), own, order)


def _since_last(_: Aggregate, view: Windows) -> np.ndarray:
    there = view.high > view.low
    last = view.arena.at[np.where(there, view.high - 1, 0)]
    return np.where(there, (view.at - last) / SECOND, np.nan)


def _risk(aggregate: Aggregate, view: Windows) -> np.ndarray:
    return _share(view.positives, _events(aggregate, view), 0.0)


def _share(part: np.ndarray, whole: np.ndarray, otherwise: float) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), otherwise), where=whole > 0)


_LIMBS: tuple[Literal["high"], Literal["low"]] = ("high", "low")
_KINDS: dict[AggregateKind, Callable[[Aggregate, Windows], np.ndarray]] = {
    "count": _count,
    "sum": _sum,
    "mean": _mean,
    "std": _std,
    "min": _extreme,
    "max": _extreme,
    "distinct": _distinct,
    "since_last": _since_last,
    "risk": _risk,
}
