"""Publishing: everything a batch produced, and the proof that Kafka has it."""

from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from streamscore.core.decision import Message
from streamscore.core.pipeline import Outcome
from streamscore.errors import BrokerError
from streamscore.kafka_clients import OnError, producer
from streamscore.settings import Kafka, Outputs

FULL_QUEUE_SECONDS = 0.1

Delivered = Callable[[], None]


class KafkaSink:
    """Scores, alerts and dead letters to their topics. Used from one thread."""

    def __init__(self, kafka: Kafka, outputs: Outputs, on_error: OnError, give_up: Callable[[], bool]) -> None:
        self._outputs, self._give_up = outputs, give_up
        self._refused: str | None = None
        self._producer = producer(kafka, on_error)

    def publish(self, outcome: Outcome, delivered: Delivered) -> int:
        """Hand over a batch's outputs; how many there are. `delivered` is called for each that Kafka has."""

        def on_delivery(error: KafkaError | None, message: Any) -> None:
            if error is None:
                delivered()
            elif error.code() == KafkaError.MSG_SIZE_TOO_LARGE and message.topic() == self._outputs.dead_letters:
                whole = Message(message.key(), message.value(), message.headers())
                self._send(message.topic(), without_value(whole), on_delivery)
            else:
                self._refused = f"{message.topic()}: an output was refused: {error.str()}"

        outputs = self._outputs
        self._send_all(outputs.scores, outcome.scores, on_delivery)
        self._send_all(outputs.alerts, outcome.alerts, on_delivery)
        self._send_all(outputs.dead_letters, outcome.dead_letters, on_delivery)
        return len(outcome.scores) + len(outcome.alerts) + len(outcome.dead_letters)

    def poll(self, seconds: float) -> None:
        """Hear of deliveries; BrokerError when Kafka refused an output for good: nothing of its batch is committed."""
        self._producer.poll(seconds)
        if self._refused:
            raise BrokerError(self._refused)

    def close(self) -> None:
        self._producer.close()

    def _send_all(self, topic: str, messages: Sequence[Message], on_delivery: Callable[..., None]) -> None:
        """`produce_batch` where it can: it is quicker, but drops headers without a word."""
        plain = [message for message in messages if message.headers is None]
        for message in messages if len(plain) < len(messages) else ():
            if message.headers is not None:
                self._send(topic, message, on_delivery)
        batch: list[dict[str, Any]] = [{"key": message.key, "value": message.value} for message in plain]
        while batch and self._producer.produce_batch(topic, batch, on_delivery=on_delivery) < len(batch):
            # Failures are said only in the dictionaries: a full queue is waited for, the rest is final.
            batch = [message for message in batch if "_error" in message]
            for error in [message.pop("_error") for message in batch]:
                if error.code() != KafkaError._QUEUE_FULL:
                    raise BrokerError(f"{topic}: an output was refused: {error.str()}")
            self._wait_for_room()

    def _send(self, topic: str, message: Message, on_delivery: Callable[..., None]) -> None:
        while True:
            headers: Any = message.headers  # the client's stubs know no list of bytes alone
            try:
                self._producer.produce(topic, message.value, message.key, headers=headers, on_delivery=on_delivery)
            except BufferError:
                self._wait_for_room()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE or topic != self._outputs.dead_letters:
                    raise BrokerError(f"{topic}: an output was refused: {error.args[0].str()}") from None
                message = without_value(message)
            else:
                return

    def _wait_for_room(self) -> None:
        self.poll(FULL_QUEUE_SECONDS)
        if self._give_up():
            raise BrokerError("outputs could not be published before the worker had to stop")


def without_value(message: Message) -> Message:
    """A dead letter that is too long for its topic, less its value: the headers say where that stands."""
    note = ("streamscore.dead_letter.left_out", f"value of {len(message.value or b'')} bytes".encode())
    return Message(message.key, None, [*(message.headers or []), note])
