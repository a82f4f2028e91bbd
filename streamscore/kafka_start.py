"""Where to start reading a partition: where the group stands, or where a new group is told to start."""

from collections.abc import Sequence
from datetime import datetime

from confluent_kafka import Consumer, TopicPartition

from streamscore.core.order import Partition
from streamscore.errors import SettingsError
from streamscore.kafka_clients import as_partition
from streamscore.settings import Kafka

REQUEST_SECONDS = 10.0


def start_offsets(owner: Consumer, kafka: Kafka, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """The offset to read first in each partition. KafkaException while no broker answers."""
    topics = {topic for topic, _ in partitions}
    counts = owner.list_topics(timeout=REQUEST_SECONDS).topics
    everywhere = [TopicPartition(topic, p) for topic in topics for p in counts[topic].partitions]
    committed = {as_partition(p): p.offset for p in owner.committed(everywhere, timeout=REQUEST_SECONDS)}
    known = {topic for (topic, _), offset in committed.items() if offset >= 0}
    fresh = {p: _first_offset(owner, kafka, p, p[0] in known) for p in partitions if committed[p] < 0}
    if fresh:
        # Committed at once: else `latest` would be a later one after a crash, and events in between lost.
        owner.commit(offsets=[TopicPartition(*p, o) for p, o in fresh.items()], asynchronous=False)
    return {p: fresh.get(p, committed[p]) for p in partitions}


def never_read(client: Consumer, topics: Sequence[str]) -> list[str]:
    """The topics of which the client's group has committed nothing. KafkaException while no broker answers."""
    known = client.list_topics(timeout=REQUEST_SECONDS).topics
    everywhere = [TopicPartition(topic, p) for topic in topics if topic in known for p in known[topic].partitions]
    read = {p.topic for p in client.committed(everywhere, timeout=REQUEST_SECONDS) if p.offset >= 0}
    return [topic for topic in topics if topic in known and topic not in read]


def _first_offset(owner: Consumer, kafka: Kafka, partition: Partition, group_knows_topic: bool) -> int:
    """Where to start a partition that the group has never read.

    In a topic it does know, the partition is a new one, and all of it is to be scored.
    """
    low, high = owner.get_watermark_offsets(TopicPartition(*partition), timeout=REQUEST_SECONDS)
    start = "earliest" if group_knows_topic else kafka.start_from
    if start is None:
        raise SettingsError(
            f"group {kafka.group} has never read {partition[0]}: set kafka.start_from to latest, earliest or a time"
        )
    if start in ("earliest", "latest"):
        return int(low if start == "earliest" else high)
    at = int(datetime.fromisoformat(start).timestamp() * 1000)
    found = owner.offsets_for_times([TopicPartition(*partition, at)], timeout=REQUEST_SECONDS)[0].offset
    return int(found if found >= 0 else high)


def earliest(client: Consumer, topics: Sequence[str]) -> dict[Partition, int]:
    """The offset of the oldest record kept in every partition of some topics. KafkaException without a broker."""
    known = client.list_topics(timeout=REQUEST_SECONDS).topics
    partitions = [(topic, number) for topic in topics for number in known[topic].partitions]
    return {p: int(client.get_watermark_offsets(TopicPartition(*p), timeout=REQUEST_SECONDS)[0]) for p in partitions}
