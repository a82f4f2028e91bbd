"""Publishing what challengers say, at most once: what Kafka does not take is counted and let go."""

from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError

from streamscore.core.scoring.decision import Message
from streamscore.kafka.clients import producer
from streamscore.settings.schema import Kafka

# Nobody waits for these: they go out together, and after a while not at all.
OPTIONS = {
    "enable.idempotence": False,
    "linger.ms": 50,
    "message.timeout.ms": 30_000,
    "queue.buffering.max.kbytes": 16_384,
}

# How many, and why.
OnLost = Callable[[int, str], None]


class ShadowSink:
    """The topic of challengers' risks, by a producer of its own. Used from one thread."""

    def __init__(self, kafka: Kafka, topic: str, on_lost: OnLost) -> None:
        self._topic, self._on_lost = topic, on_lost
        self._producer = producer(kafka, lambda _: None, self._on_refused, OPTIONS)

    def publish(self, messages: Sequence[Message]) -> None:
        """Hand messages over, and never wait for room."""
        batch: list[dict[str, Any]] = [{"key": message.key, "value": message.value} for message in messages]
        if self._producer.produce_batch(self._topic, batch) < len(batch):
            errors = [message["_error"] for message in batch if "_error" in message]
            self._on_lost(len(errors), errors[0].str())
        self.look()

    def look(self) -> None:
        """Hear of what was not taken."""
        self._producer.poll(0)

    def close(self, seconds: float) -> None:
        """Wait so long for what is on its way."""
        left = self._producer.flush(seconds)
        if left:
            self._on_lost(left, "the worker stopped")

    def _on_refused(self, error: KafkaError, _: Any) -> None:
        self._on_lost(1, error.str())
