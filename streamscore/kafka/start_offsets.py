"""Where to start reading a partition: at the group's committed offset, or where `kafka.start_from` says."""

import logging
import time
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streamscore.core.events.record import Partition
from streamscore.errors import SettingsError
from streamscore.kafka.clients import as_partition
from streamscore.settings.schema import Kafka

REQUEST_SECONDS = 10.0
# For one partition to say where it begins; those that do not are asked again with the next turn.
LEADER_SECONDS = 2.0

COORDINATOR_CODES = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)

log = logging.getLogger("streamscore.kafka")


class Start(NamedTuple):
    """Where a partition is read first; `fresh` when its group had not read it before."""

    offset: int
    fresh: bool


class Kept(NamedTuple):
    """A partition's oldest offset, the one after its newest, and the group's committed one, below 0 for none."""

    first: int
    end: int
    committed: int


def start_offsets(owner: Consumer, kafka: Kafka, partitions: Sequence[Partition]) -> dict[Partition, Start]:
    """Where to begin in each partition, as far as that can be said now: one without a leader is left out.

    KafkaException while no broker answers.
    """
    topics = {topic for topic, _ in partitions}
    known = owner.list_topics(timeout=REQUEST_SECONDS).topics
    everywhere = {(topic, p) for topic in topics if topic in known for p in known[topic].partitions}
    asked = [TopicPartition(*p) for p in sorted(everywhere.union(partitions))]
    committed = {as_partition(p): p.offset for p in owner.committed(asked, timeout=REQUEST_SECONDS)}
    read = {topic for (topic, _), offset in committed.items() if offset >= 0}
    starts = {p: Start(committed[p], fresh=False) for p in partitions if committed[p] >= 0}
    fresh = {p: _first_offset(owner, kafka, p, p[0] in read) for p in partitions if p not in starts}
    begun = {p: Start(offset, fresh=True) for p, offset in fresh.items() if offset is not None}
    if begun:
        # Committed at once: else `latest` would be a later one after a crash, and events in between lost.
        owner.commit(offsets=[TopicPartition(*p, start.offset) for p, start in begun.items()], asynchronous=False)
    return {**starts, **begun}


def never_read(client: Consumer, topics: Sequence[str]) -> list[str]:
    """The topics of which the client's group has committed nothing. KafkaException while no broker answers."""
    known = client.list_topics(timeout=REQUEST_SECONDS).topics
    everywhere = [TopicPartition(topic, p) for topic in topics if topic in known for p in known[topic].partitions]
    read = {p.topic for p in _committed(client, everywhere) if p.offset >= 0}
    return [topic for topic in topics if topic in known and topic not in read]


def _committed(client: Consumer, partitions: list[TopicPartition]) -> list[TopicPartition]:
    """A group's committed offsets; asked again for a while, since a young cluster must first find a coordinator."""
    end = time.monotonic() + REQUEST_SECONDS
    while True:
        try:
            return client.committed(partitions, timeout=REQUEST_SECONDS)
        except KafkaException as error:
            if error.args[0].code() not in COORDINATOR_CODES or time.monotonic() > end:
                raise
        time.sleep(0.2)


def _first_offset(owner: Consumer, kafka: Kafka, partition: Partition, group_knows_topic: bool) -> int | None:
    """Where to start a partition that the group has never read; None when it has no leader to say.

    In a topic it does know, the partition is a new one, and all of it is to be scored.
    """
    start = "earliest" if group_knows_topic else kafka.start_from
    if start is None:
        raise SettingsError(
            f"group {kafka.group} has never read {partition[0]}: set kafka.start_from to latest, earliest or a time"
        )
    try:
        low, high = owner.get_watermark_offsets(TopicPartition(*partition), timeout=LEADER_SECONDS)
    except KafkaException as error:
        log.warning("%s partition %d: where it begins cannot be asked yet: %s", *partition, error.args[0].str())
        return None
    if start in ("earliest", "latest"):
        return int(low if start == "earliest" else high)
    at = int(datetime.fromisoformat(start).timestamp() * 1000)
    found = owner.offsets_for_times([TopicPartition(*partition, at)], timeout=REQUEST_SECONDS)[0].offset
    return int(found if found >= 0 else high)


def kept(client: Consumer, topics: Sequence[str]) -> dict[Partition, Kept]:
    """What every partition of some topics keeps. KafkaException without a broker."""
    known = client.list_topics(timeout=REQUEST_SECONDS).topics
    partitions = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
    committed = {as_partition(p): p.offset for p in _committed(client, partitions)}
    ranges = {as_partition(p): client.get_watermark_offsets(p, timeout=REQUEST_SECONDS) for p in partitions}
    return {p: Kept(int(first), int(end), committed[p]) for p, (first, end) in ranges.items()}
