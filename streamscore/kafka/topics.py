"""Topics: waiting for them before a process begins, their ids, and creating them."""

import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from streamscore.errors import BrokerError
from streamscore.kafka.clients import admin
from streamscore.monitoring.probe import Heartbeat
from streamscore.settings.schema import Kafka

log = logging.getLogger("streamscore.kafka")

# One try to reach a broker; tried again for as long as it takes.
BROKER_SECONDS = 2.0


def await_topics(kafka: Kafka, topics: Collection[str], stop: threading.Event, heartbeat: Heartbeat) -> None:
    """Wait for a broker; BrokerError names the topics that it does not have."""
    client = admin(kafka)
    while not stop.is_set():
        try:
            existing = partitions_of(client, BROKER_SECONDS)
        except KafkaException as error:
            heartbeat.turn("a broker")
            log.warning("no broker answers at %s: %s", kafka.bootstrap, error.args[0].str())
            continue
        missing = [topic for topic in topics if topic not in existing]
        if missing:
            raise BrokerError(f"topics {', '.join(missing)} do not exist; create them with `streamscore topics create`")
        return


# For an answer that the client should have given after ten.
ANSWER_SECONDS = 15.0


def partitions_of(client: Any, timeout: float) -> dict[str, int]:
    """Topics and their partition counts; KafkaException when no broker answers in time."""
    return {name: len(topic.partitions) for name, topic in client.list_topics(timeout=timeout).topics.items()}


def topic_ids(kafka: Kafka, topics: Sequence[str]) -> dict[str, str]:
    """The ids of topics, as far as the broker gives them. A topic that is deleted and created again gets another id."""
    ids = {}
    client = admin(kafka)  # held: answers to a client that is gone never come
    for name, future in client.describe_topics(TopicCollection(list(topics)), request_timeout=10).items():
        with suppress(KafkaException, TimeoutError):  # not permitted, or too old a broker
            ids[name] = str(future.result(timeout=ANSWER_SECONDS).topic_id)
    return ids


def create_topics(kafka: Kafka, partitions: Mapping[str, int], replication: int) -> dict[str, str]:
    """Create the topics that are not there; what became of each, in a word. BrokerError when refused."""
    client = admin(kafka)
    try:
        existing = partitions_of(client, timeout=10)
    except KafkaException as error:
        raise BrokerError(f"no broker answers at {kafka.bootstrap}: {error.args[0].str()}") from None
    new = [NewTopic(name, count, replication) for name, count in partitions.items() if name not in existing]
    result = {name: "exists" for name in partitions if name in existing}
    for name, future in (client.create_topics(new, operation_timeout=15) if new else {}).items():
        try:
            future.result()
        except KafkaException as error:
            raise BrokerError(f"topic {name} cannot be created: {error.args[0].str()}") from None
        result[name] = "created"
    return result
