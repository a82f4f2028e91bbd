"""The Kafka coordinates of a batch as arrays, made in one pass: a tuple per record would cost most of the time."""

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np

from streamscore.core.events.decode import Entry, entry_offset, entry_partition
from streamscore.core.events.field import Columns
from streamscore.core.events.record import NEVER, Partition


class Coordinates(NamedTuple):
    """The coordinates of a batch: its partitions, and for each row the number of its partition and its offset."""

    partitions: list[Partition]
    number: np.ndarray
    offset: np.ndarray

    def since(self, offsets: Mapping[Partition, int], otherwise: int) -> np.ndarray:
        """bool (rows,): whether a row is at or after the offset of its partition, `otherwise` where none is given."""
        first = np.array([offsets.get(partition, otherwise) for partition in self.partitions], np.int64)
        return self.offset >= first[self.number]

    def ends(self) -> tuple[list[int], list[int]]:
        """The first and the last row of each partition."""
        rows, count = np.arange(len(self.number)), len(self.partitions)
        first, last = np.zeros(count, np.int64), np.zeros(count, np.int64)
        # Of what is assigned to one place, the last stays.
        first[self.number[::-1]] = rows[::-1]
        last[self.number] = rows
        return first.tolist(), last.tolist()


def coordinates_of(entries: Sequence[Entry]) -> Coordinates:
    """The coordinates of entries."""
    partitions = list(map(entry_partition, entries))
    numbers = {partition: number for number, partition in enumerate(dict.fromkeys(partitions))}
    rows = len(entries)
    number = np.fromiter(map(numbers.__getitem__, partitions), np.int64, rows)
    return Coordinates(list(numbers), number, np.fromiter(map(entry_offset, entries), np.int64, rows))


def of_kind(entries: Sequence[Entry], kinds: Sequence[type], kind: type) -> Sequence[Entry]:
    """The entries of a kind of event."""
    found = kinds.count(kind)
    if found in (0, len(entries)):
        return entries if found else []
    return [entry for entry, its in zip(entries, kinds, strict=True) if its is kind]


def from_offsets(entries: Sequence[Entry], offsets: Mapping[Partition, int]) -> list[Entry]:
    return list(compress(entries, coordinates_of(entries).since(offsets, otherwise=NEVER).tolist()))


def select_rows(columns: Columns, mask: np.ndarray) -> Columns:
    """Some rows of columns, each an array or a list."""
    rows = mask.tolist()
    return {
        name: values[mask] if isinstance(values, np.ndarray) else list(compress(values, rows))
        for name, values in columns.items()
    }
