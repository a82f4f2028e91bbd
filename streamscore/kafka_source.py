"""Reading: one owner, one reader.

The *owner* is the group's member. Its partitions stay paused: it brings rebalances and commits.
The *reader* is assigned the partitions whose events are read, and is never part of a rebalance;
a partition gained starts at its committed offset.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streamscore.core.event import Record
from streamscore.core.order import Partition
from streamscore.errors import BrokerError, OffsetsExpired
from streamscore.kafka_clients import FATAL_CODES, as_partition, as_record, consumer
from streamscore.kafka_start import start_offsets
from streamscore.settings import Kafka

log = logging.getLogger("streamscore.kafka")

OnPartitions = Callable[[Collection[Partition]], None]
# The next offsets of partitions whose earlier events this worker has scored already, as far as it
# remembers; None while outputs of theirs are not acknowledged.
Resume = Callable[[Collection[Partition]], Mapping[Partition, int] | None]
# Between two questions whether a broker is back; each costs up to PROBE_TIMEOUT of the loop.
PROBE_SECONDS, PROBE_TIMEOUT = 2.0, 0.5


class KafkaSource:
    """Records of the partitions this worker owns. Used from one thread."""

    def __init__(
        self, kafka: Kafka, topics: list[str], resume: Resume, on_gained: OnPartitions, on_leaving: OnPartitions
    ) -> None:
        self._kafka, self._topics = kafka, topics
        self._resume, self._on_gained, self._on_leaving = resume, on_gained, on_leaving
        self._owner: Consumer = consumer(kafka, self.on_error, self._on_commit)
        self._reader: Consumer = consumer(kafka, self.on_error, self._on_commit)
        self._assigned: list[Partition] = []  # by the group, their start not yet known
        self._owned: dict[Partition, TopicPartition] = {}
        self._start: dict[Partition, int] = {}
        self._end_seen: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._failure: KafkaError | None = None
        self._next_probe = 0.0
        self.connected = True
        self.commit_failed = False
        self.rebalances = 0
        self._owner.subscribe(topics, on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lost)

    def poll_group(self) -> None:
        """Take part in the group: rebalances happen in here, between two batches."""
        message = self._owner.poll(0)
        if message is not None and (error := message.error()):
            self._raise_if_fatal(error)
        if self._failure:
            raise BrokerError(f"Kafka refuses: {self._failure.str()}")
        if self._assigned:
            self._begin(self._assigned)
        if not self.connected:
            self._probe()

    @property
    def joined(self) -> bool:
        """Whether the group gave this worker its share; an empty one, as a standby, is one."""
        return self.rebalances > 0 and not self._assigned

    @property
    def paused(self) -> Collection[Partition]:
        return self._paused

    @property
    def owned(self) -> Collection[Partition]:
        return self._owned.keys()

    def read(self, limit: int, wait: float) -> list[Record]:
        """Up to `limit` records that are here, waiting at most `wait` seconds for the first.

        `consume(n, t)` with a long t would wait for all n.
        """
        first = self._reader.poll(wait)
        if first is None:
            return []
        messages = [first, *self._reader.consume(limit - 1, 0)] if limit > 1 else [first]
        return [as_record(message) for message in messages if message.error() is None or self._note(message)]

    def pending(self) -> set[Partition]:
        """The partitions that have, or may have, more to read than was read."""
        positions = self._reader.position(list(self._owned.values()))
        return {as_partition(p) for p in positions if self._has_more(as_partition(p), p.offset)}

    def _has_more(self, partition: Partition, position: int) -> bool:
        if partition in self._paused:
            return True  # its watermark stands still
        position = position if position >= 0 else self._start[partition]
        if self._end_seen.get(partition, -1) >= position:
            return False  # also at the end of what an open transaction lets through
        _, high = self._reader.get_watermark_offsets(self._owned[partition], cached=True)
        return bool(high < 0 or position < high)

    def throttle(self, pause: Collection[Partition], resume: Collection[Partition]) -> None:
        """Stop or go on reading partitions. Pausing throws fetched messages away: do it rarely."""
        stopping, going = set(pause) - self._paused, set(resume) & self._paused
        if stopping:
            self._reader.pause([self._owned[p] for p in stopping])
        if going:
            self._reader.resume([self._owned[p] for p in going])
        self._paused = (self._paused | stopping) - going

    def commit(self, offsets: Mapping[Partition, int], wait: bool) -> None:
        """Commit the next offsets of owned partitions; `commit_failed` says when Kafka did not take them.

        Without `wait` it returns at once, and a failure is heard of with a later `poll_group`.
        """
        self.commit_failed = False
        # An offset from before a partition was lost and regained would set the group back.
        ours = [TopicPartition(*p, o) for p, o in offsets.items() if p in self._owned and o > self._start[p]]
        if not ours:
            return
        try:
            if wait:
                self._owner.commit(offsets=ours, asynchronous=False)
            else:
                self._owner.commit(offsets=ours, asynchronous=True)
        except KafkaException as error:
            self._raise_if_fatal(error.args[0])
            self._on_commit(error.args[0], ours)

    def _on_commit(self, error: KafkaError | None, _offsets: list[TopicPartition]) -> None:
        if error is not None:
            self.commit_failed = True
            log.warning("offsets not committed: %s", error.str())

    def lag(self) -> dict[Partition, int]:
        """Messages not yet read per owned partition; unknown ones are left out."""
        lags = {}
        for found in self._reader.position(list(self._owned.values())):
            partition = as_partition(found)
            position = found.offset if found.offset >= 0 else self._start[partition]
            _, high = self._reader.get_watermark_offsets(self._owned[partition], cached=True)
            if high >= 0:
                lags[partition] = max(0, high - position)
        return lags

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
        self._on_leaving([p for p in leaving if p in self._owned])
        self._forget(leaving)
        owner.incremental_unassign(partitions)
        self.rebalances += 1

    def _lost(self, owner: Consumer, partitions: list[TopicPartition]) -> None:
        log.warning("lost %d partitions without being asked; another worker scores them now", len(partitions))
        leaving = [as_partition(p) for p in partitions]
        self._forget(leaving)
        self._on_leaving(leaving)  # nothing of them is owned any more, so nothing is committed
        owner.incremental_unassign(partitions)
        self.rebalances += 1

    def _forget(self, leaving: list[Partition]) -> None:
        read = [self._owned.pop(p) for p in leaving if p in self._owned]
        if read:
            self._reader.incremental_unassign(read)
        self._assigned = [p for p in self._assigned if p not in leaving]
        for partition in leaving:
            self._start.pop(partition, None)
            self._end_seen.pop(partition, None)
            self._paused.discard(partition)

    def _begin(self, partitions: list[Partition]) -> None:
        """Start reading partitions where the group stands; tried again while no broker answers.

        A worker that lost a partition in an outage and gets it back goes on after the last event
        whose outputs Kafka has, although it could not commit it: nothing is scored twice.
        """
        done = self._resume(partitions)
        if done is None:
            return
        try:
            starts = start_offsets(self._owner, self._kafka, partitions)
        except KafkaException as error:
            self._raise_if_fatal(error.args[0])
            log.warning("committed offsets not known yet: %s", error.args[0].str())
            return
        for partition, offset in starts.items():
            self._start[partition] = offset
            self._owned[partition] = TopicPartition(*partition)
        ahead = {p: max(offset, done.get(p, offset)) for p, offset in starts.items()}
        self._reader.incremental_assign([TopicPartition(*p, offset) for p, offset in ahead.items()])
        self._assigned = []
        self._on_gained(list(starts))

    def _note(self, message: Any) -> bool:
        """Read an event about a partition that is not a record; always False."""
        error = message.error()
        partition = (message.topic(), message.partition())
        if error.code() == KafkaError._PARTITION_EOF:
            self._end_seen[partition] = message.offset()
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise OffsetsExpired(
                f"{partition[0]} partition {partition[1]}: the offset to read next is not there any more, so events "
                f"may be lost. Choose where group {self._kafka.group} goes on, set its offsets, and start again."
            )
        else:
            self._raise_if_fatal(error)
            log.warning("%s partition %d: %s", *partition, error.str())
        return False

    def on_error(self, error: KafkaError) -> None:
        """The clients' own errors; most are transient and mended by librdkafka."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self.connected:
            self.connected = False
            log.warning("no broker answers; waiting")
        elif error.fatal() or error.code() in FATAL_CODES:
            self._failure = error

    def _raise_if_fatal(self, error: KafkaError) -> None:
        if error.fatal() or error.code() in FATAL_CODES:
            raise BrokerError(f"Kafka refuses: {error.str()}")

    def _probe(self) -> None:
        """Whether a broker is back: an idle topic would not tell."""
        if time.monotonic() < self._next_probe:
            return
        self._next_probe = time.monotonic() + PROBE_SECONDS
        try:
            self._owner.list_topics(self._topics[0], timeout=PROBE_TIMEOUT)
        except KafkaException:
            return
        self.connected = True
        log.info("a broker answers again")
