"""From windows to numbers: one function for each kind of aggregate, over all rows of a query."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from streamscore.core.aggregate import Aggregate, AggregateKind
from streamscore.core.arena import Arena
from streamscore.core.compiled import compiled
from streamscore.core.measure import Measure, deviation

SECOND = 1_000_000  # µs
# The column of a measure that no event lacks.
NONE = -1


class View(NamedTuple):
    """What an aggregate is made of: slots [low, high) of each row's window in an arena with these measures.

    `at` and `added` are the rows' own times and what they themselves add; `positives` are the
    window's events that were known to be positive.
    """

    arena: Arena
    measures: tuple[Measure, ...]
    low: np.ndarray
    high: np.ndarray
    at: np.ndarray
    added: np.ndarray
    positives: np.ndarray


def answer(aggregate: Aggregate, view: View) -> np.ndarray:
    """float64 (rows,): an aggregate's number for each row."""
    return _ANSWERS[aggregate.kind](aggregate, view)


def _itself(aggregate: Aggregate) -> bool:
    """Whether the event itself is in its window."""
    return aggregate.current and not aggregate.delay


def _events(aggregate: Aggregate, view: View) -> np.ndarray:
    return view.high - view.low + _itself(aggregate)


def _count(aggregate: Aggregate, view: View) -> np.ndarray:
    return _events(aggregate, view).astype(np.float64)


def _total(aggregate: Aggregate, view: View, measure: Measure) -> np.ndarray:
    """int64 (rows,): the sum of a measure over each window."""
    column = view.measures.index(measure)
    sums = view.arena.sums[:, column]
    total = sums[view.high] - sums[view.low]
    return total + view.added[:, column] if _itself(aggregate) else total


def _value(aggregate: Aggregate) -> Measure:
    return Measure("value", aggregate.value, aggregate.decimals)


def _given(aggregate: Aggregate, view: View) -> np.ndarray:
    """int64 (rows,): how many events of each window have the value; all, where it is required."""
    measure = Measure("given", aggregate.value)
    return _total(aggregate, view, measure) if measure in view.measures else _events(aggregate, view)


def _sum(aggregate: Aggregate, view: View) -> np.ndarray:
    return _total(aggregate, view, _value(aggregate)) / 10**aggregate.decimals


def _mean(aggregate: Aggregate, view: View) -> np.ndarray:
    return _share(_total(aggregate, view, _value(aggregate)), _given(aggregate, view) * 10**aggregate.decimals, np.nan)


def _std(aggregate: Aggregate, view: View) -> np.ndarray:
    high, low = (_total(aggregate, view, Measure(kind, aggregate.value, aggregate.decimals)) for kind in _LIMBS)
    total = _total(aggregate, view, _value(aggregate))
    return deviation(_given(aggregate, view), total, high, low) / 10**aggregate.decimals


def _extreme(aggregate: Aggregate, view: View) -> np.ndarray:
    """The largest or smallest value; the window is looked through."""
    value, given = view.measures.index(_value(aggregate)), Measure("given", aggregate.value)
    optional = view.measures.index(given) if given in view.measures else NONE
    itself = view.added[:, optional] if optional != NONE else np.ones(len(view.at), np.int64)
    found = np.empty((2, len(view.at)), np.float64)
    own = np.stack([view.added[:, value], itself * _itself(aggregate)], axis=1)
    _extremes(view.arena.sums, value, optional, (view.low, view.high), own, found)
    return found[int(aggregate.kind == "max")] / 10**aggregate.decimals


def _distinct(aggregate: Aggregate, view: View) -> np.ndarray:
    column = view.measures.index(Measure("code", aggregate.value))
    own = view.added[:, column] * _itself(aggregate)
    found = np.empty(len(own), np.float64)
    _different(view.arena.sums, column, view.low, view.high, own, found)
    return found


def _since_last(_: Aggregate, view: View) -> np.ndarray:
    there = view.high > view.low
    last = view.arena.at[np.where(there, view.high - 1, 0)]
    return np.where(there, (view.at - last) / SECOND, np.nan)


def _risk(aggregate: Aggregate, view: View) -> np.ndarray:
    return _share(view.positives, _events(aggregate, view), 0.0)


def _share(part: np.ndarray, whole: np.ndarray, otherwise: float) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), otherwise), where=whole > 0)


_LIMBS: tuple[Literal["high"], Literal["low"]] = ("high", "low")
_ANSWERS: dict[AggregateKind, Callable[[Aggregate, View], np.ndarray]] = {
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


@compiled
def _extremes(
    sums: np.ndarray, value: int, given: int, slots: tuple[np.ndarray, np.ndarray], own: np.ndarray, found: np.ndarray
) -> None:
    """The smallest and largest value in slots of each row, and of its own where that is given; NaN without any."""
    for row in range(len(own)):
        least, most = np.inf, -np.inf
        if own[row, 1]:
            least = most = np.float64(own[row, 0])
        for slot in range(slots[0][row], slots[1][row]):
            if given == NONE or sums[slot + 1, given] != sums[slot, given]:
                here = np.float64(sums[slot + 1, value] - sums[slot, value])
                least, most = min(least, here), max(most, here)
        found[0, row] = least if least <= most else np.nan
        found[1, row] = most if least <= most else np.nan


@compiled
def _different(
    sums: np.ndarray, column: int, low: np.ndarray, high: np.ndarray, own: np.ndarray, found: np.ndarray
) -> None:
    """How many different codes are in slots of each row, its own included; 0 is no code."""
    longest = 1
    for row in range(len(own)):
        longest = max(longest, high[row] - low[row] + 1)
    size = 2
    while size < 2 * longest:
        size *= 2
    # A table for all rows: an entry counts only when it was made for the row in hand.
    codes, made = np.zeros(size, np.int64), np.full(size, -1, np.int64)
    for row in range(len(own)):
        count = 0
        for slot in range(low[row], high[row] + 1):
            code = own[row] if slot == high[row] else sums[slot + 1, column] - sums[slot, column]
            if not code:
                continue
            at = code & (size - 1)
            while made[at] == row and codes[at] != code:
                at = (at + 1) & (size - 1)
            count += made[at] != row
            codes[at], made[at] = code, row
        found[row] = count
