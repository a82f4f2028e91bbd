"""Rows of a dataset as scaled columns, some at a time: the whole of them would not fit into memory.

Of 20,000,000 rows 13 features take 1 GB, which are mapped from disk; their 79 scaled columns would take 6 GB.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from streamscore.core.scoring.scaler import Scaler
from streamscore.models.keras_scorer import encoder

# Rows scaled at a time: 16,384 × 100 columns of float32 are 7 MB.
CHUNK = 1 << 14
# Rows that lie side by side are read together: 256 × 13 features of float32 are three pages of a file.
RUN = 1 << 8
# Rows that are shuffled among each other: what is read of them, 14 to 100 MB, stays in memory until all are used.
POOL = 1 << 18


class Part(NamedTuple):
    """Some rows of float32 (all rows, features), by their numbers, with bool (rows,) and how they are scaled.

    What a student learns from has float labels (rows,): shares of a positive.
    """

    matrix: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    scaler: Scaler

    def take(self, positions: np.ndarray | slice) -> "Part":
        """The rows at some positions in this part."""
        return self._replace(rows=self.rows[positions], labels=self.labels[positions])

    def subsample(self, most: int) -> "Part":
        """So many of the rows at most, evenly spaced; all where there are no more."""
        return self.take(evenly_spaced(np.arange(len(self.rows)), most))

    def features(self) -> np.ndarray:
        """float32 (rows, features), unscaled and in memory."""
        return self.matrix[self.rows]

    def chunks(self) -> Iterator["Part"]:
        """The part in pieces to work on, each in memory as a whole."""
        return (self.take(slice(start, start + CHUNK)) for start in range(0, len(self.rows), CHUNK))

    def scaled(self) -> Any:
        """Scaled columns of a chunk, float32 (rows, scaled columns), where the backend has them.

        What is computed is filled up to a whole chunk, so that one shape is compiled.
        """
        padded = np.zeros((-(-len(self.rows) // CHUNK) * CHUNK, self.matrix.shape[1]), np.float32)
        padded[: len(self.rows)] = self.features()
        return encoder(self.scaler)(padded)[: len(self.rows)]


def whole(matrix: np.ndarray, labels: np.ndarray, scaler: Scaler) -> Part:
    """All rows of a matrix as a part."""
    return Part(matrix, np.arange(len(matrix)), labels, scaler)


def evenly_spaced(rows: np.ndarray, most: int) -> np.ndarray:
    """So many row numbers at most, evenly spaced."""
    return rows[:: max(1, -(-len(rows) // most))]


def shuffled(rows: int, random: np.random.Generator) -> np.ndarray:
    """uint32 (rows,): every position once, in an order to read from disk.

    Runs of neighbours are drawn at random from the whole part, a pool of 1,024 of them at a time, and their rows are
    shuffled: a batch holds rows of every time, though a disk is read in pieces. Up to a pool it is a plain shuffle.
    """
    runs = random.permutation(-(-rows // RUN)).astype(np.uint32)
    order = (runs[:, None] * np.uint32(RUN) + np.arange(RUN, dtype=np.uint32)).ravel()
    order = order[order < rows]
    for start in range(0, rows, POOL):
        random.shuffle(order[start : start + POOL])
    return order
