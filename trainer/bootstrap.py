"""How sure a difference in average precision is: a paired bootstrap over blocks of dependent rows.

The rows of one customer depend on each other, so customers are drawn, not rows (cluster bootstrap, Davison and
Hinkley 1997, §3.8); both models are judged on the same draw, which takes what they have in common out.
"""

from typing import NamedTuple

import numpy as np

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


def difference(labels: np.ndarray, ours: np.ndarray, theirs: np.ndarray, blocks: np.ndarray, seed: int = 0) -> Interval:
    """The average precision of our scores less that of theirs on the same rows; `blocks` (rows,) says whose each is."""
    both = ranking(labels, ours), ranking(labels, theirs)
    _, block = np.unique(blocks, return_inverse=True)
    random, count = np.random.default_rng(seed), int(block.max()) + 1

    def apart(weights: np.ndarray) -> float:
        return average_precision(both[0], weights) - average_precision(both[1], weights)

    drawn = [
        apart(np.bincount(random.integers(0, count, count), minlength=count)[block].astype(np.float64))
        for _ in range(DRAWS)
    ]
    low, high = np.nanpercentile(drawn, [LOW, HIGH])
    return Interval(apart(np.ones(len(labels))), float(low), float(high))
