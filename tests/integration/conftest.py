"""What the tests on a running system share: a trained store, and all that a topic holds."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from tests.support.fixtures import models
from tests.support.running import until
from tests.support.trained import trained_store

__all__ = ["models"]

Position = tuple[str, int, int]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store with a champion of both event types, for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("store")
    trained_store(folder)
    return folder


def published(bootstrap: str, topic: str) -> list[Message]:
    """Every message of a topic, in the order of its partitions' offsets."""
    found: list[Message] = []
    client = Consumer({"bootstrap.servers": bootstrap, "group.id": "published", "enable.auto.commit": False})
    partitions = [TopicPartition(topic, p, 0) for p in client.list_topics(topic, timeout=10).topics[topic].partitions]
    bounds = [client.get_watermark_offsets(partition, timeout=10) for partition in partitions]
    client.assign([TopicPartition(p.topic, p.partition, low) for p, (low, _) in zip(partitions, bounds, strict=True)])
    total = sum(high - low for low, high in bounds)

    def complete() -> bool:
        batch = client.consume(10_000, 0.05)
        assert not any(message.error() for message in batch)
        found.extend(batch)
        return len(found) >= total

    until(complete, 60, f"all of {total} messages of {topic} are read")
    client.close()
    return sorted(found, key=position)


def position(message: Message) -> Position:
    """Where a message stands: topic, partition, offset."""
    return message.topic() or "", message.partition() or 0, message.offset() or 0
