"""What a timeline sums up: integers, so that no order of events and no restart changes a bit.

A number is in fixed point of its declared decimals; its square, too long for 64 bits, is in two
limbs of 38 bits, whose sums over 2**25 events still fit.
"""

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

import numpy as np

from streamscore.core.events.aggregate import MEASURED, Aggregate, raw
from streamscore.core.events.field import Columns
from streamscore.core.history.compiled import compiled
from streamscore.core.history.identity import hashes

LIMB = 38
HALF = 19
MASK = (1 << HALF) - 1


class SumColumn(NamedTuple):
    """One summed column: a field's value, 1 where it is given, a limb of its square, or its hash as an id."""

    kind: Literal["value", "given", "high", "low", "code"]
    field: str
    decimals: int = 0


def measures(aggregates: Sequence[Aggregate], nullable: Collection[str]) -> tuple[SumColumn, ...]:
    """The columns that aggregates need, each once; `nullable` are the fields that may be missing."""
    found: list[SumColumn] = []
    for aggregate in aggregates:
        if aggregate.kind == "distinct":
            found.append(SumColumn("code", aggregate.value))
        elif aggregate.kind in MEASURED:
            found.append(SumColumn("value", aggregate.value, aggregate.decimals))
            found += [SumColumn("given", aggregate.value)] if aggregate.value in nullable else []
        if aggregate.kind == "std":
            found.append(SumColumn("high", aggregate.value, aggregate.decimals))
            found.append(SumColumn("low", aggregate.value, aggregate.decimals))
    return tuple(dict.fromkeys(found))


def added(measure: SumColumn, columns: Columns) -> np.ndarray:
    """int64 (rows,): what each event adds to a measure; a value that is missing adds 0."""
    if measure.kind == "code":
        return hashes(columns[raw(measure.field)]).view(np.int64)
    values = columns[measure.field]
    if measure.kind == "given":
        return (~np.isnan(values)).astype(np.int64)
    scaled = np.rint(np.nan_to_num(values) * 10**measure.decimals).astype(np.int64)
    return scaled if measure.kind == "value" else _limb(np.abs(scaled), measure.kind == "high")


def _limb(values: np.ndarray, high: bool) -> np.ndarray:
    """The upper or the lower limb of the squares of non-negative integers below 2**37."""
    upper, lower = values >> HALF, values & MASK
    middle = 2 * upper * lower
    rest = ((middle & MASK) << HALF) + lower * lower
    return upper * upper + (middle >> HALF) + (rest >> LIMB) if high else rest & ((1 << LIMB) - 1)


def deviation(count: np.ndarray, total: np.ndarray, high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """float64 (rows,): the sample's standard deviation from exact sums; NaN of fewer than two values."""
    found = np.full(len(count), np.nan)
    _deviation(count, np.abs(total), high, low, found)
    return found


@compiled
def _times(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The 128-bit product of two 64-bit integers, as upper and lower half."""
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    a1, a0, b1, b0 = a >> half, a & mask, b >> half, b & mask
    low = a0 * b0
    middle = a1 * b0 + (low >> half)
    other = a0 * b1 + (middle & mask)
    return a1 * b1 + (middle >> half) + (other >> half), (other << half) | (low & mask)


@compiled
def _deviation(count: np.ndarray, total: np.ndarray, high: np.ndarray, low: np.ndarray, found: np.ndarray) -> None:
    for row in range(len(count)):
        if count[row] < 2:
            continue
        n = np.uint64(count[row])
        # n · Σx² − (Σx)², exactly: a difference of floats would lose what small spreads are made of.
        first, second = np.uint64(high[row]), np.uint64(low[row])
        lower = (first << np.uint64(LIMB)) + second
        upper = (first >> np.uint64(64 - LIMB)) + np.uint64(lower < second)
        squares, rest = _times(n, lower)
        squares += n * upper
        product, end = _times(np.uint64(total[row]), np.uint64(total[row]))
        squares -= product + np.uint64(rest < end)
        rest -= end
        exact = np.float64(squares) * 2.0**64 + np.float64(rest)
        found[row] = np.sqrt(exact / (np.float64(n) * np.float64(n - np.uint64(1))))
