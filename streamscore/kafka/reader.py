"""The *reader*: the consumer whose partitions are assigned by us. It reads records and is never part of a rebalance."""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from streamscore.core.events.record import Partition, Record
from streamscore.errors import OffsetsExpired
from streamscore.kafka.clients import as_partition, as_record, consumer
from streamscore.kafka.health import Health
from streamscore.kafka.stalled import StalledPartitions
from streamscore.settings.schema import Kafka

log = logging.getLogger("streamscore.kafka")


class Reader:
    """Partitions that are read, whatever the group has committed. Used from one thread."""

    def __init__(self, kafka: Kafka, health: Health) -> None:
        self._group, self._health = kafka.group, health
        self._reader: Consumer = consumer(kafka, health.on_error, lambda *_: None)
        self._read: dict[Partition, TopicPartition] = {}
        self._begun: dict[Partition, int] = {}  # where reading began, until the client has a position
        self.end_seen: dict[Partition, int] = {}  # the end of a partition when it was last reached
        self.paused: set[Partition] = set()
        self.stalled = StalledPartitions()

    @property
    def partitions(self) -> Collection[Partition]:
        """The partitions that are read."""
        return self._read.keys()

    def begin(self, starts: Mapping[Partition, int]) -> None:
        """Begin to read partitions, or read them again, from these offsets on."""
        known = [self._read[p] for p in starts if p in self._read]
        if known:
            self._reader.incremental_unassign(known)
        for partition, offset in starts.items():
            self._read[partition] = TopicPartition(*partition)
            self._begun[partition] = offset
            self.end_seen.pop(partition, None)
            self.paused.discard(partition)
        self._reader.incremental_assign([TopicPartition(*p, offset) for p, offset in starts.items()])

    def end(self, partitions: Iterable[Partition]) -> None:
        """Read partitions no longer."""
        read = {p: self._read.pop(p) for p in partitions if p in self._read}
        if read:
            self._reader.incremental_unassign(list(read.values()))
        for partition in read:
            self.end_seen.pop(partition, None)
            self.paused.discard(partition)

    def read(self, limit: int, wait: float) -> list[Record]:
        """Up to `limit` records that are here, waiting at most `wait` seconds for the first.

        `consume(n, t)` with a long t would wait for all n.
        """
        first = self._reader.poll(wait)
        if first is None:
            return []
        messages = [first, *self._reader.consume(limit - 1, 0)] if limit > 1 else [first]
        records = [as_record(message) for message in messages if message.error() is None or self._note(message)]
        self.stalled.broken_by(records)
        return records

    def positions(self) -> dict[Partition, int]:
        """The next offset to be read of every partition that is read."""
        found = self._reader.position(list(self._read.values()))
        return {(p := as_partition(f)): f.offset if f.offset >= 0 else self._begun[p] for f in found}

    def ends(self) -> dict[Partition, int]:
        """The offset after the last record of every partition that is read, as far as it is known."""
        highs = {p: self._reader.get_watermark_offsets(found, cached=True)[1] for p, found in self._read.items()}
        return {partition: high for partition, high in highs.items() if high >= 0}

    def pending(self) -> set[Partition]:
        """The partitions that have, or may have, more to read than was read; stalled ones hold nobody up."""
        more = {partition for partition, position in self.positions().items() if self._has_more(partition, position)}
        return more - self.stalled.among(more - self.paused, self._health.connected)

    def _has_more(self, partition: Partition, position: int) -> bool:
        if partition in self.paused:
            return True  # its watermark stands still
        if self.end_seen.get(partition, -1) >= position:
            return False  # also at the end of what an open transaction lets through
        _, high = self._reader.get_watermark_offsets(self._read[partition], cached=True)
        return bool(high < 0 or position < high)

    def throttle(self, pause: Collection[Partition], resume: Collection[Partition]) -> None:
        """Stop or go on reading partitions. Pausing throws fetched messages away: do it rarely."""
        stopping = set(pause) - self.paused
        going = set(resume) & self.paused
        if stopping:
            self._reader.pause([self._read[p] for p in stopping])
        if going:
            self._reader.resume([self._read[p] for p in going])
        self.paused = (self.paused | stopping) - going

    def close(self) -> None:
        self._reader.close()

    def _note(self, message: Any) -> bool:
        """Read an event about a partition that is not a record; always False."""
        error = message.error()
        partition = (message.topic(), message.partition())
        if error.code() == KafkaError._PARTITION_EOF:
            self.end_seen[partition] = message.offset()
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise OffsetsExpired(
                f"{partition[0]} partition {partition[1]}: the offset to read next is not there any more, so events "
                f"may be lost. Choose where group {self._group} goes on, set its offsets, and start again."
            )
        else:
            self._health.raise_if_fatal(error)
            log.warning("%s partition %d: %s", *partition, error.str())
        return False
