"""The usual values of a feature or a risk: counts in bins, and how far later counts are from them.

The bins are made once, from the rows a model was trained on. Everything later is counted in the same bins.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

# Bins of equal mass; a value that many rows share has one of its own.
BINS = 10
COMMON = 1 / BINS
# Below it nobody would call a shift one (Siddiqi 2006 takes 0.1 for "slight", 0.25 for "large").
LEAST = 0.1


class Profile(NamedTuple):
    """`counts` of values below, between and from `edges` on, then of missing ones: len(edges) + 2 of them."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def rows(self) -> int:
        return sum(self.counts)


def edges(values: np.ndarray) -> tuple[float, ...]:
    """The bins' edges for a column, float (rows,): its deciles, and a bin for each value that a tenth of rows share."""
    present = values[~np.isnan(values)].astype(np.float64)
    if not len(present):
        return ()
    distinct, count = np.unique(present, return_counts=True)
    common = distinct[count >= COMMON * len(present)]
    rest = present[~np.isin(present, common)]
    cuts = np.quantile(rest, np.arange(1, BINS) / BINS) if len(rest) else rest
    # A value's own bin begins at it and ends right after it.
    found = np.unique(np.concatenate([cuts, common, np.nextafter(common, np.inf)]))
    return tuple(found.tolist())


def histogram(values: np.ndarray, at: tuple[float, ...]) -> Profile:
    """Count values, float (rows,), in the bins of these edges."""
    missing = np.isnan(values)
    bins = np.searchsorted(np.array(at, np.float64), values[~missing].astype(np.float64), side="right")
    return Profile(at, (*np.bincount(bins, minlength=len(at) + 1).tolist(), int(missing.sum())))


def merged(some: Profile, more: Profile) -> Profile:
    """The sum of two profiles that have the same bins."""
    return Profile(some.edges, tuple(a + b for a, b in zip(some.counts, more.counts, strict=True)))


def psi(reference: Profile, found: Profile) -> float:
    """The population stability index of counts in the same bins: 0 where the shares are equal.

    Half a row is added to each bin, so that an empty one does not make it infinite.
    """
    before, now = (np.array(profile.counts, np.float64) + 0.5 for profile in (reference, found))
    before, now = before / before.sum(), now / now.sum()
    return float(((now - before) * np.log(now / before)).sum())


def psi_threshold(reference: Profile, found: Profile) -> float:
    """The index from which on a shift is more than chance: of equal populations one in a thousand exceeds it.

    Of n and m rows the index is about (1/n + 1/m) times a chi-square of as many degrees of freedom as bins less one
    (Yurdakul and Naranjo 2020); its quantile is Wilson and Hilferty's (1931).
    """
    freedom = max(1, sum(a + b > 0 for a, b in zip(reference.counts, found.counts, strict=True)) - 1)
    quantile = freedom * (1 - 2 / (9 * freedom) + 3.0902 * (2 / (9 * freedom)) ** 0.5) ** 3
    return max(LEAST, quantile * (1 / max(1, reference.rows) + 1 / max(1, found.rows)))


def share_gained(before: Profile, now: Profile) -> np.ndarray:
    """float64 (bins,): the share of values that each bin gained."""
    shares = [np.array(profile.counts) / max(1, profile.rows) for profile in (before, now)]
    return shares[1] - shares[0]


def change(before: Profile, now: Profile, names: Mapping[int, str] = MappingProxyType({})) -> str:
    """The bin that gained most values, in words; `names` gives the words of values that are codes."""
    place = int(np.argmax(share_gained(before, now)))
    was, now_is = (profile.counts[place] / max(1, profile.rows) for profile in (before, now))
    if place == len(before.counts) - 1:
        where = "it is missing"
    elif place == 0:
        where = f"it is below {before.edges[0]:.6g}" if before.edges else "it is not missing"
    elif place == len(before.edges):
        where = f"it is at least {before.edges[-1]:.6g}"
    elif before.edges[place] == np.nextafter(before.edges[place - 1], np.inf):
        value = before.edges[place - 1]
        where = f"it is {names.get(int(value)) or f'{value:.6g}'}"
    else:
        where = f"it is from {before.edges[place - 1]:.6g} to {before.edges[place]:.6g}"
    return f"{where} in {now_is:.1%} of events, was in {was:.1%}"
