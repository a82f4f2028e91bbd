"""Which number each entity has: open addressing over 64-bit hashes of entity keys."""

import numpy as np

from streamscore.core.history.compiled import compiled

# Of the table's slots, at most three in four are taken.
FULL = 0.75


class EntityIndex:
    """Numbers from 0, given at first sight and given again after `forget`; at most `most` at a time."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.keys = np.zeros(48, np.uint64)
        self._unused = np.empty(48, np.int32)
        self._table = np.zeros(64, np.int32)
        # How many numbers were ever given, and how many of them are unused again.
        self._count = np.zeros(2, np.int64)

    def __len__(self) -> int:
        return int(self._count[0] - self._count[1])

    @property
    def numbers(self) -> int:
        """One more than the largest number ever given."""
        return int(self._count[0])

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self._table.nbytes + self._unused.nbytes

    def known(self, hashes: np.ndarray) -> np.ndarray:
        """int64 (rows,): the numbers of keys, -1 where unknown."""
        found = np.empty(len(hashes), np.int64)
        _known(hashes, self.keys, self._table, found)
        return found

    def number(self, hashes: np.ndarray) -> np.ndarray:
        """int64 (rows,): the numbers of keys, new ones where unknown, -1 where `most` are given already."""
        found = np.empty(len(hashes), np.int64)
        row = self._number_from(0, hashes, found)
        while row < len(hashes):
            self._grow()
            row = self._number_from(row, hashes, found)
        return found

    def forget(self, numbers: np.ndarray) -> None:
        """Take numbers back."""
        _forget(numbers, self.keys, self._table, self._unused, self._count)

    def _number_from(self, row: int, hashes: np.ndarray, found: np.ndarray) -> int:
        if self.most <= len(self):
            found[row:] = self.known(hashes[row:])
            return len(hashes)
        room = min(self.most, len(self.keys))
        return _number(hashes, row, room, (self.keys, self._table, self._unused, self._count), found)

    def _grow(self) -> None:
        """Half as much room again; nothing to do where `most` and not the room was reached."""
        if len(self) < len(self.keys):
            return
        room = len(self.keys) * 3 // 2
        self.keys.resize(room, refcheck=False)
        self._unused.resize(room, refcheck=False)
        if room > FULL * len(self._table):
            self._table = np.zeros(2 * len(self._table), np.int32)
            _fill(self.keys[: self.numbers], self._table)


@compiled
def _known(hashes: np.ndarray, keys: np.ndarray, table: np.ndarray, found: np.ndarray) -> None:
    mask = len(table) - 1
    for row in range(len(hashes)):
        slot = np.int64(hashes[row]) & mask
        while table[slot] and keys[table[slot] - 1] != hashes[row]:
            slot = (slot + 1) & mask
        found[row] = table[slot] - 1


@compiled
def _number(
    hashes: np.ndarray,
    first: int,
    room: int,
    state: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    found: np.ndarray,
) -> int:
    """Number rows from `first` on; returns the row for which there was no room, or their number."""
    keys, table, unused, count = state
    mask = len(table) - 1
    for row in range(first, len(hashes)):
        slot = np.int64(hashes[row]) & mask
        while table[slot] and keys[table[slot] - 1] != hashes[row]:
            slot = (slot + 1) & mask
        if not table[slot]:
            if count[0] - count[1] >= room:
                return row
            if count[1]:
                count[1] -= 1
                number = np.int64(unused[count[1]])
            else:
                number = count[0]
                count[0] += 1
            keys[number] = hashes[row]
            table[slot] = number + 1
        found[row] = table[slot] - 1
    return len(hashes)


@compiled
def _fill(keys: np.ndarray, table: np.ndarray) -> None:
    mask = len(table) - 1
    for number in range(len(keys)):
        slot = np.int64(keys[number]) & mask
        while table[slot]:
            slot = (slot + 1) & mask
        table[slot] = number + 1


@compiled
def _forget(numbers: np.ndarray, keys: np.ndarray, table: np.ndarray, unused: np.ndarray, count: np.ndarray) -> None:
    """Empty the slots of numbers, and move what follows each nearer to where its hash points."""
    mask = len(table) - 1
    for number in numbers:
        hole = np.int64(keys[number]) & mask
        while table[hole] != number + 1:
            hole = (hole + 1) & mask
        slot = (hole + 1) & mask
        while table[slot]:
            home = np.int64(keys[table[slot] - 1]) & mask
            if ((slot - home) & mask) >= ((slot - hole) & mask):
                table[hole] = table[slot]
                hole = slot
            slot = (slot + 1) & mask
        table[hole] = 0
        unused[count[1]] = number
        count[1] += 1
