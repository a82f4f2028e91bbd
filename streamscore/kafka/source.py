"""Reading: one owner, one reader.

The *owner* is the group's member. Its partitions stay paused: it brings rebalances and commits.
The *reader* is assigned the partitions whose events are read, and is never part of a rebalance; a
partition gained is read from its committed offset. Partitions that are *followed* are read whoever
owns them, because history is made of all events; one that is gained is read again from where it is due.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streamscore.core.events.record import NEVER, Partition, Record
from streamscore.errors import BrokerError, OffsetsExpired
from streamscore.kafka.clients import as_partition, as_record, consumer
from streamscore.kafka.health import Health
from streamscore.kafka.listener import RebalanceListener
from streamscore.kafka.stalled import StalledPartitions
from streamscore.kafka.start_offsets import Kept, kept
from streamscore.settings.schema import Kafka

log = logging.getLogger("streamscore.kafka")

# How long the loop may wait for where the group stands.
ASK_SECONDS = 0.5


class KafkaSource:
    """Records of the partitions this worker owns. Used from one thread."""

    def __init__(self, kafka: Kafka, topics: list[str], hooks: RebalanceListener) -> None:
        self._kafka, self._topics, self._hooks, self.health = kafka, topics, hooks, Health()
        self._owner: Consumer = consumer(kafka, self.health.on_error, self._on_commit)
        self._reader: Consumer = consumer(kafka, self.health.on_error, self._on_commit)
        self._assigned: list[Partition] = []  # by the group, their start not yet known
        self._read: dict[Partition, TopicPartition] = {}
        self._followed: set[Partition] = set()
        self._begun: dict[Partition, int] = {}  # where reading began, until the reader has a position
        self._start: dict[Partition, int] = {}  # of owned partitions, where the group stood
        self.scored_from: dict[Partition, int] = {}  # of owned partitions, the first offset that is ours to score
        self.end_seen: dict[Partition, int] = {}  # where a partition ended when its end was seen last
        self._paused: set[Partition] = set()
        self.silence = StalledPartitions()
        self.commit_failed = False
        self.rebalances = 0
        self._owner.subscribe(topics, on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lost)

    def poll_group(self) -> None:
        """Take part in the group: rebalances happen in here, between two batches."""
        message = self._owner.poll(0)
        if message is not None and (error := message.error()):
            self.health.raise_if_fatal(error)
        self.health.raise_failure()
        if self._assigned:
            self._begin(self._assigned)
        self.health.probe(self._owner, self._topics[0])

    @property
    def waiting_for(self) -> str | None:
        """What keeps records from coming; None when nothing does. An empty share of the group, a standby's, is one."""
        if not self.health.connected:
            return "a broker"
        if self.silence.told:
            return (
                f"partitions that give nothing: {', '.join(f'{topic} {p}' for topic, p in sorted(self.silence.told))}"
            )
        return None if self.rebalances > 0 and not self._assigned else "partitions"

    @property
    def paused(self) -> Collection[Partition]:
        return self._paused

    @property
    def owned(self) -> Collection[Partition]:
        return self.scored_from.keys()

    def follow(self, topics: Sequence[str]) -> dict[Partition, Kept]:
        """Say what every partition of some topics keeps: `read_from` begins to read them, whoever owns them."""
        try:
            found = kept(self._owner, topics)
        except KafkaException as error:
            raise BrokerError(f"where topics begin cannot be asked: {error.args[0].str()}") from None
        self._followed |= found.keys()
        return found

    def follow_new(self, topics: Sequence[str]) -> None:
        """Read partitions too that topics were given since: history is made of all events."""
        try:
            known = self._owner.list_topics(timeout=ASK_SECONDS).topics
        except KafkaException:
            return  # the next time
        there = {(topic, number) for topic in topics if topic in known for number in known[topic].partitions}
        fresh = there - self._followed
        self._followed |= fresh
        self.read_from(dict.fromkeys(fresh - self._read.keys(), 0))

    def read_from(self, starts: Mapping[Partition, int]) -> None:
        """Begin to read partitions, or read them again, from these offsets on."""
        known = [self._read[p] for p in starts if p in self._read]
        if known:
            self._reader.incremental_unassign(known)
        for partition, offset in starts.items():
            self._read[partition], self._begun[partition] = TopicPartition(*partition), offset
            self.end_seen.pop(partition, None)
            self._paused.discard(partition)
        self._reader.incremental_assign([TopicPartition(*p, offset) for p, offset in starts.items()])
        self._hooks.reading(list(starts))

    def positions(self) -> dict[Partition, int]:
        """The next offset to be read of every partition that is read."""
        found = self._reader.position(list(self._read.values()))
        return {(p := as_partition(f)): f.offset if f.offset >= 0 else self._begun[p] for f in found}

    def ends(self) -> dict[Partition, int]:
        """The offset after the last record of every partition that is read, as far as it is known."""
        highs = {p: self._reader.get_watermark_offsets(found, cached=True)[1] for p, found in self._read.items()}
        return {partition: high for partition, high in highs.items() if high >= 0}

    def committed(self) -> dict[Partition, int]:
        """Where the group stands in every partition that is read; empty while no broker says."""
        if not self.health.connected:
            return {}
        try:
            found = self._owner.committed(list(self._read.values()), timeout=ASK_SECONDS)
        except KafkaException:
            return {}
        return {as_partition(p): p.offset for p in found}

    def read(self, limit: int, wait: float) -> list[Record]:
        """Up to `limit` records that are here, waiting at most `wait` seconds for the first.

        `consume(n, t)` with a long t would wait for all n.
        """
        first = self._reader.poll(wait)
        if first is None:
            return []
        messages = [first, *self._reader.consume(limit - 1, 0)] if limit > 1 else [first]
        records = [as_record(message) for message in messages if message.error() is None or self._note(message)]
        self.silence.broken_by(records)
        return records

    def pending(self) -> set[Partition]:
        """The partitions that have, or may have, more to read than was read."""
        more = {partition for partition, position in self.positions().items() if self._has_more(partition, position)}
        return more - self.silence.among(more - self._paused, self.health.connected)

    def _has_more(self, partition: Partition, position: int) -> bool:
        if partition in self._paused:
            return True  # its watermark stands still
        if self.end_seen.get(partition, -1) >= position:
            return False  # also at the end of what an open transaction lets through
        _, high = self._reader.get_watermark_offsets(self._read[partition], cached=True)
        return bool(high < 0 or position < high)

    def throttle(self, pause: Collection[Partition], resume: Collection[Partition]) -> None:
        """Stop or go on reading partitions. Pausing throws fetched messages away: do it rarely."""
        stopping, going = set(pause) - self._paused, set(resume) & self._paused
        if stopping:
            self._reader.pause([self._read[p] for p in stopping])
        if going:
            self._reader.resume([self._read[p] for p in going])
        self._paused = (self._paused | stopping) - going

    def commit(self, offsets: Mapping[Partition, int], wait: bool) -> None:
        """Commit the next offsets of owned partitions; `commit_failed` says when Kafka did not take them.

        Without `wait` it returns at once, and a failure is heard of with a later `poll_group`.
        """
        self.commit_failed = False
        # An offset from before a partition was lost and regained would set the group back.
        ours = [TopicPartition(*p, o) for p, o in offsets.items() if p in self._start and o > self._start[p]]
        if not ours:
            return
        try:
            if wait:
                self._owner.commit(offsets=ours, asynchronous=False)
            else:
                self._owner.commit(offsets=ours, asynchronous=True)
        except KafkaException as error:
            self.health.raise_if_fatal(error.args[0])
            self._on_commit(error.args[0], ours)

    def _on_commit(self, error: KafkaError | None, _offsets: list[TopicPartition]) -> None:
        if error is not None:
            self.commit_failed = True
            log.warning("offsets not committed: %s", error.str())

    def lag(self) -> dict[Partition, int]:
        """Messages not yet read per owned partition; unknown ones are left out."""
        positions, ends = self.positions(), self.ends()
        return {p: max(0, ends[p] - positions[p]) for p in self.owned if p in ends}

    def close(self) -> None:
        """Leave the group at once, so that the others take over without waiting for a time-out.

        The owner first: while it leaves, its partitions are taken from the reader.
        """
        self._owner.close()
        self._reader.close()

    def _assign(self, owner: Consumer, partitions: list[TopicPartition]) -> None:
        owner.incremental_assign(partitions)
        owner.pause(partitions)
        self._assigned += [as_partition(p) for p in partitions]
        self.rebalances += 1

    def _revoke(self, owner: Consumer, partitions: list[TopicPartition]) -> None:
        leaving = [as_partition(p) for p in partitions]
        # Finished work first: what is committed here is not scored twice by the next owner.
        self._hooks.leaving([p for p in leaving if p in self.scored_from])
        self._forget(leaving)
        owner.incremental_unassign(partitions)
        self.rebalances += 1

    def _lost(self, owner: Consumer, partitions: list[TopicPartition]) -> None:
        log.warning("lost %d partitions without being asked; another worker scores them now", len(partitions))
        leaving = [as_partition(p) for p in partitions]
        self._forget(leaving)
        self._hooks.leaving(leaving)  # nothing of them is owned any more, so nothing is committed
        owner.incremental_unassign(partitions)
        self.rebalances += 1

    def _forget(self, leaving: list[Partition]) -> None:
        read = {p: self._read.pop(p) for p in leaving if p in self._read and p not in self._followed}
        if read:
            self._reader.incremental_unassign(list(read.values()))
        self._assigned = [p for p in self._assigned if p not in leaving]
        for partition in leaving:
            self._start.pop(partition, None)
            self.scored_from.pop(partition, None)
        for partition in read:
            self.end_seen.pop(partition, None)
            self._paused.discard(partition)

    def _begin(self, partitions: list[Partition]) -> None:
        """Start reading partitions where the group stands; tried again while no broker answers.

        A worker that lost a partition in an outage and gets it back goes on after the last event
        whose outputs Kafka has, although it could not commit it: nothing is scored twice.
        """
        done = self._hooks.resume(partitions)
        if done is None:
            return
        try:
            starts = self._hooks.starts(self._owner, self._kafka, partitions)
        except KafkaException as error:
            self.health.raise_if_fatal(error.args[0])
            log.warning("committed offsets not known yet: %s", error.args[0].str())
            return
        self._assigned = [partition for partition in partitions if partition not in starts]
        self._start |= {p: start.offset for p, start in starts.items()}
        # What this worker scored of a topic that was deleted says nothing of a new one of that name.
        ahead = {p: start.offset if start.fresh else max(start.offset, done.get(p, 0)) for p, start in starts.items()}
        self.scored_from |= ahead
        positions = self.positions()
        again = {
            p: min(offset, self._hooks.folded(p)) if p in self._followed else offset for p, offset in ahead.items()
        }
        self.read_from({p: offset for p, offset in again.items() if offset < positions.get(p, NEVER)})

    def _note(self, message: Any) -> bool:
        """Read an event about a partition that is not a record; always False."""
        error = message.error()
        partition = (message.topic(), message.partition())
        if error.code() == KafkaError._PARTITION_EOF:
            self.end_seen[partition] = message.offset()
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise OffsetsExpired(
                f"{partition[0]} partition {partition[1]}: the offset to read next is not there any more, so events "
                f"may be lost. Choose where group {self._kafka.group} goes on, set its offsets, and start again."
            )
        else:
            self.health.raise_if_fatal(error)
            log.warning("%s partition %d: %s", *partition, error.str())
        return False
