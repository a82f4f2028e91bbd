"""How sure a difference between two models is: a paired bootstrap over blocks of dependent rows.

The rows of one customer depend on each other, so customers are drawn, not rows (cluster bootstrap, Davison and
Hinkley 1997, §3.8); both models are judged on the same draw, which takes what they have in common out.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

DRAWS = 400
# 95 %: two and a half of a hundred draws on each side.
LOW, HIGH = 2.5, 97.5


class Interval(NamedTuple):
    """An estimate with the bounds of its 95 % interval."""

    estimate: float
    low: float
    high: float


class Ranking(NamedTuple):
    """Rows from the highest score down: which is positive, which row it was, and the last row of each tied score."""

    positive: np.ndarray
    rows: np.ndarray
    ends: np.ndarray


def blocks_of(owners: pa.ChunkedArray) -> np.ndarray:
    """int (rows,): whose each row is. Rows of nobody known are one block: that is careful, it widens the interval."""
    return owners.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()


def ranking(labels: np.ndarray, scores: np.ndarray) -> Ranking:
    """Rank bool labels by float scores; rows of one score stand or fall together."""
    rows = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[rows]) != 0, True))
    return Ranking(labels[rows].astype(np.float64), rows, ends)


def average_precision(ranked: Ranking, weights: np.ndarray) -> float:
    """Average precision of weighted rows, NaN without a positive one; weights are in the order of the unranked rows."""
    weight = weights[ranked.rows]
    found = np.cumsum(weight * ranked.positive)[ranked.ends]
    seen = np.cumsum(weight)[ranked.ends]
    if not found[-1]:
        return float("nan")
    precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
    return float((precision * np.diff(found, prepend=0.0)).sum() / found[-1])


def roc_auc(ranked: Ranking, weights: np.ndarray) -> float:
    """The area under the ROC curve of weighted rows, NaN without both kinds; arguments as of `average_precision`."""
    weight = weights[ranked.rows]
    found = np.cumsum(weight * ranked.positive)[ranked.ends]
    false = np.cumsum(weight)[ranked.ends] - found
    if not found[-1] or not false[-1]:
        return float("nan")
    heights = found - np.diff(found, prepend=0.0) / 2
    return float((heights * np.diff(false, prepend=0.0)).sum() / (found[-1] * false[-1]))


class Pair(NamedTuple):
    """The same rows scored by two models: bool labels, float scores, and whose each row is, all (rows,)."""

    labels: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray
    blocks: np.ndarray


Figure = Callable[[Ranking, np.ndarray], float]


def difference(pairs: Sequence[Pair], figure: Figure = average_precision, seed: int = 0) -> Interval:
    """The mean over pairs of our figure less theirs; each pair is drawn by its own blocks."""
    random = np.random.default_rng(seed)
    found = [_drawn(pair, figure, random) for pair in pairs]
    low, high = np.nanpercentile(np.mean([drawn for _, drawn in found], axis=0), [LOW, HIGH])
    return Interval(float(np.mean([whole for whole, _ in found])), float(low), float(high))


def _drawn(pair: Pair, figure: Figure, random: np.random.Generator) -> tuple[float, list[float]]:
    """The difference of one pair, and that of each draw."""
    _, block = np.unique(pair.blocks, return_inverse=True)
    count = int(block.max()) + 1
    ranked = (ranking(pair.labels, scores) for scores in (pair.ours, pair.theirs))
    # A row weighs what its block does: of millions of rows only the ranked blocks are gone through.
    ours, theirs = (each._replace(rows=block[each.rows]) for each in ranked)

    def apart(weights: np.ndarray) -> float:
        return figure(ours, weights) - figure(theirs, weights)

    draws = (np.bincount(random.integers(0, count, count), minlength=count) for _ in range(DRAWS))
    return apart(np.ones(count)), [apart(drawn.astype(np.float64)) for drawn in draws]
