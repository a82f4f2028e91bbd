"""A running Apache Kafka as the tests see it, whoever runs it, and how they know that it is ready."""

import time
import uuid
from collections.abc import Callable, Set

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

PROBE_TOPIC = "readiness-probe"


class KafkaFailed(RuntimeError):
    """Apache Kafka was started and did not do what it must; the text ends with its log."""


class Endpoint:
    """An Apache Kafka that somebody runs at `bootstrap`."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def new_topic(self, partitions: int = 1, **config: str | int) -> str:
        """Create a topic with a name that no other test has, and return the name."""
        name = f"test-{uuid.uuid4().hex}"
        self.create_topic(name, partitions, **config)
        return name

    def create_topic(self, name: str, partitions: int = 1, **config: str | int) -> None:
        """Create a topic and wait for its leaders; `retention_ms=1000` sets its `retention.ms`."""
        admin = _admin(self.bootstrap)
        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        admin.create_topics([NewTopic(name, partitions, config=settings)])[name].result(30)

        def led() -> bool:
            found = admin.list_topics(name, timeout=10).topics[name].partitions
            return len(found) == partitions and all(p.leader >= 0 for p in found.values())

        poll_until(led, 30, lambda: f"the topic {name} has no leader")


def poll_until(condition: Callable[[], bool], seconds: float, otherwise: Callable[[], str]) -> None:
    """Wait until the condition holds, or fail with what `otherwise` says."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise KafkaFailed(otherwise())
        time.sleep(0.1)


def in_step(address: str, nodes: Set[int]) -> bool:
    """Whether the node at `address` sees exactly `nodes`, with every one of their replicas led and in sync."""
    try:
        metadata = _admin(address).list_topics(timeout=2)
    except KafkaException:
        return False
    if set(metadata.brokers) != nodes:
        return False
    partitions = [p for topic in metadata.topics.values() for p in topic.partitions.values()]
    return all(p.leader in nodes and nodes & set(p.replicas) <= set(p.isrs) for p in partitions)


def acknowledges(bootstrap: str) -> bool:
    """Whether a record, asked to be on every copy, is acknowledged."""
    admin = _admin(bootstrap)  # Kept: its answers are lost with it.
    try:
        admin.create_topics([NewTopic(PROBE_TOPIC, 1)])[PROBE_TOPIC].result(10)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            return False
    outcomes: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "message.timeout.ms": 5000, "log_level": 0})
    producer.produce(PROBE_TOPIC, b"", on_delivery=lambda error, _: outcomes.append(error))
    producer.flush(6)
    return outcomes == [None]


def _admin(bootstrap: str) -> AdminClient:
    # A node that is not there yet is no news: without this level the client says so many times a second.
    return AdminClient({"bootstrap.servers": bootstrap, "reconnect.backoff.max.ms": 200, "log_level": 0})
