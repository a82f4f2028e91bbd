"""How many values of a batch fall into each bin of a model's profiles: the counts behind the drift metrics."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from streamscore.core.history.compiled import compiled
from streamscore.core.scoring.profile import Profile

# The column of a risk, which is in no feature matrix.
NO_COLUMN = -1


class Bins(NamedTuple):
    """The profiles of a model's columns, as a kernel takes them: the column of each, and its edges, float64, padded."""

    version: str
    profiles: Mapping[str, Profile]
    columns: np.ndarray
    edges: np.ndarray


class Binned(NamedTuple):
    """Values by bin, int64 (profiles, padded bins); the last bin is that of missing ones."""

    bins: Bins
    found: np.ndarray


def bins_of(version: str, profiles: Mapping[str, Profile], columns: Mapping[str, int]) -> Bins:
    """The bins of some profiles. `columns` gives the column of each in the feature matrix; a risk has no column."""
    edges = np.full((len(profiles), max((len(p.edges) for p in profiles.values()), default=0)), np.inf)
    for row, profile in enumerate(profiles.values()):
        edges[row, : len(profile.edges)] = profile.edges
    at = np.array([columns.get(name, NO_COLUMN) for name in profiles], np.int64)
    return Bins(version, profiles, at, edges)


def binned(bins: Bins, matrix: np.ndarray, risks: np.ndarray) -> Binned:
    """Count a feature matrix, float32 (rows, features), and its risks, float32 (rows,)."""
    found = np.zeros((len(bins.edges), bins.edges.shape[1] + 2), np.int64)
    _count(matrix, risks, bins.columns, bins.edges, found)
    return Binned(bins, found)


def counts(given: Binned) -> dict[str, tuple[int, ...]]:
    """The counts of each profile, in its own bins."""
    return {
        name: (*row[: len(profile.edges) + 1], row[-1])
        for (name, profile), row in zip(given.bins.profiles.items(), given.found.tolist(), strict=True)
    }


@compiled
def _count(matrix: np.ndarray, risks: np.ndarray, columns: np.ndarray, edges: np.ndarray, found: np.ndarray) -> None:
    for row in range(len(risks)):
        for each in range(len(columns)):
            value = risks[row] if columns[each] < 0 else matrix[row, columns[each]]
            # Every edge is looked at: quicker than a search, which the processor cannot foresee.
            place = 0
            for edge in range(edges.shape[1]):
                place += value >= edges[each, edge]
            if np.isnan(value):
                place = edges.shape[1] + 1
            found[each, place] += 1
