"""Whether a broker answers, and what Kafka refuses for good: reported by the clients, and asked during an outage."""

import logging
import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from streamscore.errors import BrokerError
from streamscore.kafka.clients import FATAL_CODES

log = logging.getLogger("streamscore.kafka")

# Between two questions whether a broker is back; each costs up to PROBE_TIMEOUT of the loop.
PROBE_SECONDS, PROBE_TIMEOUT = 2.0, 0.5


class Health:
    """What the clients of one worker say of their broker. Used from its loop, in which they call back."""

    def __init__(self) -> None:
        self.connected = True
        self._failure: KafkaError | None = None
        self._next_probe = 0.0

    def on_error(self, error: KafkaError) -> None:
        """The clients' own errors; most are transient and mended by librdkafka."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self.connected:
            self.connected = False
            log.warning("no broker answers; waiting")
        elif error.fatal() or error.code() in FATAL_CODES:
            self._failure = error

    def raise_failure(self) -> None:
        """BrokerError when a broker refused a client for good."""
        if self._failure:
            raise BrokerError(f"Kafka refuses: {self._failure.str()}")

    def raise_if_fatal(self, error: KafkaError) -> None:
        """BrokerError when an error is for good: waiting does not mend it."""
        if error.fatal() or error.code() in FATAL_CODES:
            raise BrokerError(f"Kafka refuses: {error.str()}")

    def probe(self, client: Any, topic: str) -> None:
        """Ask whether a broker is back, now and then while none answered: an idle topic would not tell."""
        if self.connected or time.monotonic() < self._next_probe:
            return
        self._next_probe = time.monotonic() + PROBE_SECONDS
        try:
            client.list_topics(topic, timeout=PROBE_TIMEOUT)
        except KafkaException:
            return
        self.connected = True
        log.info("a broker answers again")
