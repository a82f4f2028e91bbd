"""Reading a backlog in event time: partitions read at full speed drift apart by hours.

Entries of several partitions are released oldest first, and only those that no partition can
still precede: strictly below the newest time seen in every partition that has more to give. A
drained partition holds nobody up, so live traffic is not delayed. Inside a partition the order
of offsets is kept; an entry that is out of order there takes the running maximum as its time. Of
equal times the record that Kafka has had for longer is first: so a worker that reads a backlog
takes the same one of two for the repetition as a worker that read them as they came.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby, islice
from operator import attrgetter

import numpy as np

from streamscore.core.events.decode import Entry, entry_partition, entry_timestamp
from streamscore.core.events.record import Partition

_at = attrgetter("at")


@dataclass
class PartitionBuffer:
    """The buffered entries of one partition; `times` is the running maximum of their times."""

    entries: list[Entry] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    newest: float = float("-inf")

    def extend(self, entries: list[Entry]) -> None:
        self.entries += entries
        self.times += islice(accumulate(map(_at, entries), max, initial=self.newest), 1, None)
        self.newest = self.times[-1]

    def releasable(self, bound: float, limit: int) -> int:
        """How many entries from the head are strictly below the bound, about `limit` at most.

        Dead letters that follow go with them: they have no time, and a partition full of them
        would otherwise be buffered without end.
        """
        count = bisect_left(self.times, bound) if self.newest >= bound else len(self.times)
        if count > limit:
            return bisect_right(self.times, self.times[limit - 1], limit - 1, count)
        while count < min(limit, len(self.entries)) and self.entries[count].dead_letter:
            count += 1
        return count

    def arrivals(self, count: int) -> list[int]:
        """The running maximum of the records' timestamps."""
        return list(accumulate(map(entry_timestamp, self.entries[:count]), max))

    def take(self, count: int) -> list[Entry]:
        taken = self.entries[:count]
        del self.entries[:count], self.times[:count]
        return taken


class EventTimeOrder:
    """The buffer between reading and scoring, for the partitions of one event type."""

    def __init__(self) -> None:
        self._lanes: dict[Partition, PartitionBuffer] = {}

    def __len__(self) -> int:
        return sum(len(lane.entries) for lane in self._lanes.values())

    def add(self, partition: Partition) -> None:
        """Begin to wait for a partition."""
        self._lanes[partition] = PartitionBuffer()

    def drop(self, partition: Partition) -> None:
        """Forget a partition and what is buffered of it: another worker will read it again."""
        self._lanes.pop(partition, None)

    def push(self, entries: Sequence[Entry]) -> None:
        """Buffer entries, per partition in the order of their offsets; unknown partitions are dropped."""
        for partition, run in groupby(entries, entry_partition):
            lane = self._lanes.get(partition)
            if lane is not None:
                lane.extend(list(run))

    def release(self, limit: int, more: Collection[Partition]) -> list[Entry]:
        """About `limit` entries that nothing in a partition with `more` can precede, oldest first.

        A batch is cut only between distinct times, because entries of one time know each other
        through their history: so it can be longer than `limit` by a group of equal times.
        """
        bound = self._bound(more)
        heads = [(lane, lane.releasable(bound, limit)) for lane in self._lanes.values()]
        heads = [(lane, count) for lane, count in heads if count]
        if not heads:
            return []
        if len(heads) == 1:
            lane, count = heads[0]
            return lane.take(count)
        return self._merge(heads, limit)

    def holder(self, more: Collection[Partition]) -> Partition | None:
        """The partition that holds the others up; it must never be paused, or all would wait for ever."""
        holding = [p for p in self._lanes if p in more]
        return min(holding, key=lambda p: self._lanes[p].newest) if holding else None

    def buffered(self) -> dict[Partition, int]:
        """Entries held per partition."""
        return {partition: len(lane.entries) for partition, lane in self._lanes.items()}

    def apart(self) -> float:
        """Seconds of event time between the partition that is furthest and the one that is least far."""
        newest = [lane.newest for lane in self._lanes.values() if lane.newest >= 0]
        return max(newest) - min(newest) if newest else 0.0

    def _bound(self, more: Collection[Partition]) -> float:
        return min((lane.newest for partition, lane in self._lanes.items() if partition in more), default=float("inf"))

    @staticmethod
    def _merge(heads: list[tuple[PartitionBuffer, int]], limit: int) -> list[Entry]:
        """The first `limit` of several sorted heads, ties of the last one included."""
        times = np.concatenate([lane.times[:count] for lane, count in heads])
        owner = np.repeat(np.arange(len(heads)), [count for _, count in heads])
        order = np.argsort(times, kind="stable")
        if ((np.diff(times[order]) == 0) & (np.diff(owner[order]) != 0)).any():
            order = np.lexsort((np.concatenate([lane.arrivals(count) for lane, count in heads]), times))
        if len(order) > limit:
            order = order[: np.searchsorted(times[order], times[order[limit - 1]], side="right")]
        taken = np.bincount(owner[order], minlength=len(heads))
        candidates: list[Entry] = []
        for (lane, count), take in zip(heads, taken.tolist(), strict=True):
            candidates += lane.entries[:count]
            lane.take(take)
        return [candidates[i] for i in order.tolist()]
