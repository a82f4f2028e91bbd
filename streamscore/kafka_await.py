"""Waiting for a broker and the topics that a process reads or writes, before it begins."""

import logging
import threading
from collections.abc import Collection

from confluent_kafka import KafkaException

from streamscore.errors import BrokerError
from streamscore.kafka_clients import admin, partitions_of
from streamscore.probe import Pulse
from streamscore.settings import Kafka

log = logging.getLogger("streamscore.kafka")

# One try to reach a broker; tried again for as long as it takes.
BROKER_SECONDS = 2.0


def await_topics(kafka: Kafka, topics: Collection[str], stop: threading.Event, pulse: Pulse) -> None:
    """Wait for a broker; BrokerError names the topics that it does not have."""
    client = admin(kafka)
    while not stop.is_set():
        try:
            existing = partitions_of(client, BROKER_SECONDS)
        except KafkaException as error:
            pulse.turn("a broker")
            log.warning("no broker answers at %s: %s", kafka.bootstrap, error.args[0].str())
            continue
        missing = [topic for topic in topics if topic not in existing]
        if missing:
            raise BrokerError(f"topics {', '.join(missing)} do not exist; create them with `streamscore topics create`")
        return
