"""Records from Kafka, by two consumers: an *owner* in the group, and a *reader* of what the group gives the owner.

The *owner* brings rebalances and commits. The *reader* is assigned the partitions whose events are read. A partition
that the owner gains is read from its committed offset. Partitions that are *followed* are read whoever owns them,
because a history is made of all events. A followed partition that the owner gains is read again from where its
scoring is due.
"""

import logging
from collections.abc import Collection, Mapping, Sequence

from streamscore.core.events.record import NEVER, Partition, Record
from streamscore.kafka.group import GroupMember
from streamscore.kafka.health import Health
from streamscore.kafka.listener import RebalanceListener
from streamscore.kafka.reader import Reader
from streamscore.kafka.start_offsets import Kept
from streamscore.settings.schema import Kafka

log = logging.getLogger("streamscore.kafka")


class KafkaSource:
    """Records of the partitions this process owns or follows. Used from one thread."""

    def __init__(self, kafka: Kafka, topics: Sequence[str]) -> None:
        self.health = Health()
        self._group = GroupMember(kafka, topics, self.health)
        self._reader = Reader(kafka, self.health)
        self._listener = RebalanceListener()
        self._followed: set[Partition] = set()
        # Of owned partitions, the first offset that is this process's to score.
        self.scored_from: dict[Partition, int] = {}

    def join(self, listener: RebalanceListener) -> None:
        """Join the group. The listener's functions are called in `poll_group`, between two batches."""
        self._listener = listener
        self._group.join(self._revoked, self._lost)

    def poll_group(self) -> None:
        """Take part in the group: rebalances happen in here."""
        self._group.poll()
        if self._group.assigned:
            self._begin(self._group.assigned)
        self._group.probe()

    @property
    def connected(self) -> bool:
        """Whether a broker answers."""
        return self.health.connected

    @property
    def waiting_for(self) -> str | None:
        """What keeps records from coming; None when nothing does. A standby's empty share keeps nothing back."""
        if not self.health.connected:
            return "a broker"
        if stalled := self._reader.stalled.told:
            return f"partitions that give nothing: {', '.join(f'{topic} {p}' for topic, p in sorted(stalled))}"
        return None if self._group.rebalances > 0 and not self._group.assigned else "partitions"

    @property
    def rebalances(self) -> int:
        """Assignments and revocations so far."""
        return self._group.rebalances

    @property
    def commit_failed(self) -> bool:
        """Whether Kafka did not take the last commit."""
        return self._group.commit_failed

    @property
    def paused(self) -> Collection[Partition]:
        return self._reader.paused

    @property
    def owned(self) -> Collection[Partition]:
        return self.scored_from.keys()

    @property
    def end_seen(self) -> Mapping[Partition, int]:
        """The end of each partition when the reader last reached it."""
        return self._reader.end_seen

    def follow(self, topics: Sequence[str]) -> dict[Partition, Kept]:
        """Say what every partition of some topics keeps: `read_from` begins to read them, whoever owns them."""
        found = self._group.kept(topics)
        self._followed |= found.keys()
        return found

    def follow_new(self, topics: Sequence[str]) -> None:
        """Follow partitions too that topics were given since."""
        fresh = self._group.partitions_of(topics) - self._followed
        self._followed |= fresh
        self.read_from(dict.fromkeys(fresh - set(self._reader.partitions), 0))

    def read_from(self, starts: Mapping[Partition, int]) -> None:
        """Begin to read partitions, or read them again, from these offsets on."""
        self._reader.begin(starts)
        self._listener.reading(list(starts))

    def read(self, limit: int, wait: float) -> list[Record]:
        """Up to `limit` records that are here, waiting at most `wait` seconds for the first."""
        return self._reader.read(limit, wait)

    def pending(self) -> set[Partition]:
        """The partitions that have, or may have, more to read than was read."""
        return self._reader.pending()

    def throttle(self, pause: Collection[Partition], resume: Collection[Partition]) -> None:
        """Stop or go on reading partitions."""
        self._reader.throttle(pause, resume)

    def positions(self) -> dict[Partition, int]:
        """The next offset to be read of every partition that is read."""
        return self._reader.positions()

    def ends(self) -> dict[Partition, int]:
        """The offset after the last record of every partition that is read, as far as it is known."""
        return self._reader.ends()

    def committed(self) -> dict[Partition, int]:
        """The group's offset of every partition that is read; empty while no broker says."""
        return self._group.committed(self._reader.partitions)

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool) -> None:
        """Commit the next offsets of owned partitions; `commit_failed` says when Kafka did not take them."""
        self._group.commit(offsets, wait)

    def lag(self) -> dict[Partition, int]:
        """Messages not yet read per owned partition; unknown ones are left out."""
        positions, ends = self.positions(), self.ends()
        return {p: max(0, ends[p] - positions[p]) for p in self.owned if p in ends}

    def starts(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Where the listener would start partitions now; without those for which no broker says so yet."""
        starts = self._group.starts(partitions, self._listener)
        return {partition: start.offset for partition, start in starts.items()}

    def close(self) -> None:
        """Leave the group, then stop reading: while the owner leaves, its partitions are taken from the reader."""
        self._group.close()
        self._reader.close()

    def _revoked(self, leaving: list[Partition]) -> None:
        # Finished work first: what is committed here is not scored twice by the next owner.
        self._listener.leaving([p for p in leaving if p in self.scored_from])
        self._forget(leaving)

    def _lost(self, leaving: list[Partition]) -> None:
        log.warning("lost %d partitions without being asked; another worker scores them now", len(leaving))
        self._forget(leaving)
        self._listener.leaving(leaving)  # nothing of them is owned any more, so nothing is committed

    def _forget(self, leaving: list[Partition]) -> None:
        self._reader.end([p for p in leaving if p not in self._followed])
        self._group.forget(leaving)
        for partition in leaving:
            self.scored_from.pop(partition, None)

    def _begin(self, partitions: list[Partition]) -> None:
        """Start reading partitions at the group's offset; tried again while no broker answers.

        A worker that lost a partition in an outage and gets it back goes on after the last event
        whose outputs Kafka has, although it could not commit it: nothing is scored twice.
        """
        done = self._listener.resume(partitions)
        if done is None:
            return
        starts = self._group.starts(partitions, self._listener)
        if not starts:
            return  # nothing begins, so the listener hears of nothing, turn after turn of an outage
        self._group.begin(starts)
        # What this worker scored of a topic that was deleted says nothing of a new one of that name.
        ahead = {p: start.offset if start.fresh else max(start.offset, done.get(p, 0)) for p, start in starts.items()}
        self.scored_from |= ahead
        positions = self.positions()
        again = {
            p: min(offset, self._listener.folded(p)) if p in self._followed else offset for p, offset in ahead.items()
        }
        self.read_from({p: offset for p, offset in again.items() if offset < positions.get(p, NEVER)})
