"""The timeline of each of many entities: rows in the order of time and id, in memory that is bounded.

What a timeline answers depends on the set of its rows alone, not on how they came.
"""

from typing import NamedTuple

import numpy as np

from streamscore.core.history.arena import NEW, ROOMS, Arena, Rows, Slices
from streamscore.core.history.entity_index import EntityIndex
from streamscore.core.history.kernels import append, compact, find, insert, sweep, touch, windows

# The fields that make a key.
Entity = tuple[str, ...]

# What the arena grows by: its end is filled with zeros, and so is in memory before it is needed.
GROWTH = 1 / 16
# The share of the arena that may lie free between slices when its end is reached.
FREE = 1 / 8
# Rows whose slices' ends the processor's nearest caches hold all together.
NEAR = 1 << 10
# An entity's number and a row's number together are one of 64 bits.
HALF = 32
# Slots of a new arena.
FIRST = 64


class Keyed(NamedTuple):
    """Events or labels as timelines take them: id words, times, the hash of each key, what each adds to it."""

    ids: np.ndarray
    at: np.ndarray
    hashes: dict[Entity, np.ndarray]
    added: dict[Entity, np.ndarray]

    def taken(self, mask: np.ndarray) -> "Keyed":
        """Some of the rows: bool (rows,)."""
        hashes, added = ({key: array[mask] for key, array in parts.items()} for parts in (self.hashes, self.added))
        return Keyed(self.ids[mask], self.at[mask], hashes, added)


class Part(NamedTuple):
    """Rows of whole entities: the keys and sizes of these, then the columns of all rows, one entity after another."""

    keys: np.ndarray
    sizes: np.ndarray
    at: np.ndarray
    ids: np.ndarray
    added: np.ndarray


class Swept(NamedTuple):
    """How many rows and how many entities were dropped, and what these rows had added to the sums."""

    rows: int
    entities: int
    added: np.ndarray


class Timeline:
    """`words` int64 make an id; `columns` int64 are summed over windows; at most `most` entities."""

    def __init__(self, words: int, columns: int, most: int) -> None:
        self.index = EntityIndex(most)
        self.arena = Arena(*(np.zeros(shape, np.int64) for shape in ((FIRST,), (FIRST, words), (FIRST, columns))))
        room = len(self.index.keys)
        free = np.full(len(ROOMS), -1, np.int64)
        free[0] = 0
        self.slices = Slices(np.zeros(room, np.int64), np.zeros(room, np.int32), np.zeros(room, np.int8), free)
        self.rows = 0
        self._swept = 0

    @property
    def words(self) -> int:
        return self.arena.ids.shape[1]

    @property
    def nbytes(self) -> int:
        return self.index.nbytes + sum(array.nbytes for array in (*self.arena, *self.slices))

    def insert(self, hashes: np.ndarray, at: np.ndarray, ids: np.ndarray, added: np.ndarray) -> np.ndarray:
        """Insert rows of entities; int8 (rows,): NEW, SEEN, or REFUSED where there is no room for more entities."""
        rows = Rows(self.index.number(hashes), at, ids, added)
        status = np.zeros(len(at), np.int8)
        order = _order(rows)
        order = order[np.searchsorted(rows.entity[order], 0) :]
        self._follow_index()
        done = 0
        while done < len(order):
            until = min(done + NEAR, len(order))
            touch(self.arena, self.slices, rows.entity[order[done:until]])
            done = insert(self.arena, self.slices, rows, order, status, (done, until))
            if done < until:
                self._make_room(len(order) - done)
        self.rows += int((status == NEW).sum())
        return status

    def find(self, entities: np.ndarray, at: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The slots of rows, or where they would be, and whether they are there; `entities` are numbers or -1."""
        found = np.zeros((2, len(at)), np.int64)
        find(self.arena, self.slices, Rows(entities, at, ids, _NOTHING), found)
        return found[0], found[1] > 0

    def windows(self, hashes: np.ndarray, at: np.ndarray, ids: np.ndarray, spans: np.ndarray) -> np.ndarray:
        """int64 (2, spans, rows): the first slot of each window and the one after its last; see `slices.windows`."""
        found = np.zeros((2, len(spans), len(at)), np.int64)
        rows = Rows(self.index.known(hashes), at, ids, _NOTHING)
        order = _by_entity(rows.entity)
        for start in range(0, len(order), NEAR):
            part = order[start : start + NEAR]
            touch(self.arena, self.slices, rows.entity[part])
            windows(self.arena, self.slices, rows, part, spans, found)
        return found

    def sweep(self, bound: int, limit: int) -> Swept:
        """Drop rows up to a time (µs), of the `limit` entities whose turn it is.

        All rows of an entity that stay must move: so a few may stay until more than a sixteenth can go.
        """
        count = self.index.numbers
        if not count:
            return Swept(0, 0, np.zeros(self.arena.sums.shape[1], np.int64))
        entities = (self._swept + np.arange(min(limit, count))) % count
        self._swept = (self._swept + len(entities)) % count
        starts, sizes = self.slices.start[entities], self.slices.size[entities]
        entities = entities[(sizes > 0) & (self.arena.at[starts + sizes // 16] <= bound)]
        dropped, added = sweep(self.arena, self.slices, bound, entities)
        emptied = entities[self.slices.size[entities] == 0]
        self.index.forget(emptied)
        self.rows -= dropped
        return Swept(dropped, len(emptied), added)

    def widen(self, count: int, at: int) -> None:
        """Give ids `count` more words from word `at` on, as `identity.widened` does."""
        wider = np.full((len(self.arena.at), self.words + count), np.iinfo(np.int64).min)
        wider[:, :at] = self.arena.ids[:, :at]
        wider[:, at + count :] = self.arena.ids[:, at:]
        self.arena = self.arena._replace(ids=wider)

    def copied(self, first: int, rows: int) -> tuple[Part, int]:
        """A copy of whole entities from number `first` on, of about so many rows; the number to go on with, or -1."""
        sizes = self.slices.size[first : min(first + rows, self.index.numbers)].astype(np.int64)
        entities = first + np.arange(min(int(np.searchsorted(np.cumsum(sizes), rows)) + 1, len(sizes)))
        after = first + len(entities)
        entities = entities[self.slices.size[entities] > 0]
        sizes = self.slices.size[entities].astype(np.int64)
        slots = _ranges(self.slices.start[entities], sizes)
        added = self.arena.sums[slots + 1] - self.arena.sums[slots]
        part = Part(self.index.keys[entities], sizes, self.arena.at[slots], self.arena.ids[slots], added)
        return part, after if after < self.index.numbers else -1

    def adopt(self, part: Part) -> None:
        """Take in what another timeline copied, of as many words and columns; entities beyond `most` are left out."""
        entities = self.index.number(part.keys)
        self._follow_index()
        known = (entities >= 0) & (self.slices.size[entities] > 0)
        entities[known] = -1
        self._reserve(int(ROOMS[np.searchsorted(ROOMS, part.sizes + 1)].sum()))
        self.rows += append(
            self.arena, self.slices, entities, part.sizes, Rows(entities, part.at, part.ids, part.added)
        )
        if known.any():  # an entity that was evicted and came again while others were copied is there twice
            rows = np.repeat(known, part.sizes)
            self.insert(np.repeat(part.keys, part.sizes)[rows], part.at[rows], part.ids[rows], part.added[rows])

    def _follow_index(self) -> None:
        """Have room for a slice of each entity that has a number."""
        for array in self.slices[:3]:
            if len(array) < len(self.index.keys):
                array.resize(len(self.index.keys), refcheck=False)

    def _make_room(self, rows: int) -> None:
        """Move slices together where much is free between them; else grow, in place: only pages move, not bytes."""
        held = np.flatnonzero(self.slices.size)
        needed = int(ROOMS[self.slices.room[held]].sum())
        if self.slices.free[0] - needed > FREE * len(self.arena.at):
            compact(self.arena, self.slices, held[np.argsort(self.slices.start[held])])
            return
        slots = len(self.arena.at)
        self._resize(slots + max(FIRST, int(slots * GROWTH), min(4 * rows, slots)))

    def _reserve(self, slots: int) -> None:
        """Have so many slots free at the arena's end."""
        self._resize(max(len(self.arena.at), int(self.slices.free[0]) + slots))

    def _resize(self, slots: int) -> None:
        for array in self.arena:
            array.resize((slots, *array.shape[1:]), refcheck=False)


_NOTHING = np.empty((0, 0), np.int64)


def _order(rows: Rows) -> np.ndarray:
    """Row numbers in the order of entity, time and id."""
    order = _in_time(rows)
    return order[_by_entity(rows.entity[order])]


def _by_entity(entities: np.ndarray) -> np.ndarray:
    """Row numbers in the order of entity; equal ones stay in order.

    Sorting numbers that hold both entity and row is several times quicker than a stable sort by entity.
    """
    keys = (entities << HALF) | np.arange(len(entities))
    keys.sort()
    return keys & ((1 << HALF) - 1)


def _in_time(rows: Rows) -> np.ndarray:
    """Row numbers in the order of time and id; most often few times are equal, so ids are looked at for these alone."""
    if (rows.at[1:] > rows.at[:-1]).all():
        return np.arange(len(rows.at))
    order = np.argsort(rows.at, kind="stable")
    same = np.diff(rows.at[order], prepend=rows.at[order[0]] - 1, append=rows.at[order[-1]] + 1) == 0
    tied = same[:-1] | same[1:]
    rest = order[tied]
    order[tied] = rest[np.lexsort((*rows.ids[rest].T[::-1], rows.at[rest]))]
    return order


def _ranges(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """start, start + 1 … of each range, one range after another."""
    ends = np.cumsum(sizes)
    return np.repeat(starts - ends + sizes, sizes) + np.arange(ends[-1] if len(ends) else 0)
