"""A source of one's own as the worker's loop needs it: one reader, no group, every partition owned."""

from collections.abc import Collection, Mapping, Sequence

from streamscore.core.events.record import Partition, Record, partition_of
from streamscore.kafka.listener import RebalanceListener
from streamscore.kafka.start_offsets import Kept
from streamscore.worker.protocols import Source


class PlainSource:
    """Makes a `GroupSource` of a `Source`: a partition is owned from its first record on."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._listener = RebalanceListener()
        self._positions: dict[Partition, int] = {}
        self._more = False  # whether the last read brought as much as was asked for
        self._throttled = False
        self.scored_from: dict[Partition, int] = {}
        self.connected = True
        self.waiting_for: str | None = None
        self.rebalances = 0
        self.commit_failed = False
        self.paused: Collection[Partition] = ()
        self.end_seen: Mapping[Partition, int] = {}

    @property
    def owned(self) -> Collection[Partition]:
        return self.scored_from.keys()

    def join(self, listener: RebalanceListener) -> None:
        self._listener = listener

    def poll_group(self) -> None:
        """There is no group."""

    def read(self, limit: int, wait: float) -> Sequence[Record]:
        records = self._source.read(limit, wait)
        self._more = len(records) >= limit
        for record in records:
            partition = partition_of(record)
            if partition not in self.scored_from:
                self.scored_from[partition] = record.offset
                self._listener.reading([partition])
            self._positions[partition] = record.offset + 1
        return records

    def pending(self) -> Collection[Partition]:
        """Every partition may have more while a read brings all that it may; a full buffer waits for none."""
        return set(self._positions) if self._more and not self._throttled else ()

    def throttle(self, pause: Collection[Partition], resume: Collection[Partition]) -> None:
        """Such a source cannot be paused: instead the partitions that hold less wait for nobody."""
        self._throttled = bool(pause)

    def positions(self) -> dict[Partition, int]:
        return dict(self._positions)

    def ends(self) -> dict[Partition, int]:
        return dict(self._positions)

    def committed(self) -> Mapping[Partition, int]:
        return {}

    def lag(self) -> Mapping[Partition, int]:
        return dict.fromkeys(self._positions, 0)

    def follow(self, topics: Sequence[str]) -> Mapping[Partition, Kept]:
        return {}

    def follow_new(self, topics: Sequence[str]) -> None:
        """Partitions appear with their first record."""

    def read_from(self, starts: Mapping[Partition, int]) -> None:
        """The source begins where it begins."""

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool) -> None:
        self._source.commit(offsets, wait=wait)

    def close(self) -> None:
        self._source.close()
