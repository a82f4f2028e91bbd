"""The arrays of a timeline: one arena of rows, the slice of each entity in it, and rows that are to be inserted."""

from typing import NamedTuple

import numpy as np

# What becomes of a row: there is no room for it, it is new, or it was there already.
REFUSED, NEW, SEEN = 0, 1, 2
# Slots a slice may have: four sizes an octave, so that on average a tenth of a slice is empty.
ROOMS = np.array([0, 2, 3, *(n << k for k in range(23) for n in (4, 5, 6, 7))], np.int64)


class Arena(NamedTuple):
    """int64 columns: `at` (slots,), `ids` (slots, words), `sums` (slots, columns)."""

    at: np.ndarray
    ids: np.ndarray
    sums: np.ndarray


class Slices(NamedTuple):
    """Per entity its first slot, its number of rows, and its room as an index into ROOMS.

    `free` holds the first slot never used, then for each room the first free slice, or -1; the `at`
    of a free slice's first slot leads to the next.
    """

    start: np.ndarray
    size: np.ndarray
    room: np.ndarray
    free: np.ndarray


class Rows(NamedTuple):
    """Rows to insert or look up: entity number or -1, time, id words, and what each adds to the sums."""

    entity: np.ndarray
    at: np.ndarray
    ids: np.ndarray
    added: np.ndarray
