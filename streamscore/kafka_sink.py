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


class KafkaSink:
    """Scores, alerts and dead letters to their topics. Used from one thread."""

    def __init__(self, kafka: Kafka, outputs: Outputs, on_error: OnError, give_up: Callable[[], bool]) -> None:
        self._outputs, self._give_up = outputs, give_up
        self._refused: str | None = None
        self._producer = producer(kafka, on_error, self._on_refused)

    def publish(self, outcome: Outcome) -> None:
        """Hand over a batch's outputs."""
        outputs = self._outputs
        self._send_all(outputs.scores, outcome.scores)
        self._send_all(outputs.alerts, outcome.alerts)
        self._send_all(outputs.dead_letters, outcome.dead_letters)

    def acknowledged(self, seconds: float) -> bool:
        """Whether Kafka has everything that was handed over, waiting up to `seconds`.

        BrokerError when it refused an output for good: nothing of its batch may be committed.
        """
        if seconds > 0:
            self._producer.flush(seconds)
        else:
            self._producer.poll(0)
        if self._refused:
            raise BrokerError(self._refused)
        return len(self._producer) == 0

    def _on_refused(self, error: KafkaError, message: Any) -> None:
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE and message.topic() == self._outputs.dead_letters:
            self._send(message.topic(), without_value(Message(message.key(), message.value(), message.headers())))
        else:
            self._refused = f"{message.topic()}: an output was refused: {error.str()}"

    def close(self) -> None:
        self._producer.close()

    def _send_all(self, topic: str, messages: Sequence[Message]) -> None:
        """`produce_batch` where it can: it is quicker, but drops headers without a word."""
        plain = [message for message in messages if message.headers is None]
        for message in messages if len(plain) < len(messages) else ():
            if message.headers is not None:
                self._send(topic, message)
        batch: list[dict[str, Any]] = [{"key": message.key, "value": message.value} for message in plain]
        while batch and self._producer.produce_batch(topic, batch) < len(batch):
            # Failures are said only in the dictionaries: a full queue is waited for, the rest is final.
            batch = [message for message in batch if "_error" in message]
            for error in [message.pop("_error") for message in batch]:
                if error.code() != KafkaError._QUEUE_FULL:
                    raise BrokerError(f"{topic}: an output was refused: {error.str()}")
            self._wait_for_room()

    def _send(self, topic: str, message: Message) -> None:
        while True:
            headers: Any = message.headers  # the client's stubs know no list of bytes alone
            try:
                self._producer.produce(topic, message.value, message.key, headers=headers)
            except BufferError:
                self._wait_for_room()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE or topic != self._outputs.dead_letters:
                    raise BrokerError(f"{topic}: an output was refused: {error.args[0].str()}") from None
                message = without_value(message)
            else:
                return

    def _wait_for_room(self) -> None:
        self._producer.poll(FULL_QUEUE_SECONDS)
        if self._give_up():
            raise BrokerError("outputs could not be published before the worker had to stop")


def without_value(message: Message) -> Message:
    """A dead letter that is too long for its topic, less its value: the headers say where that stands."""
    note = ("streamscore.dead_letter.left_out", f"value of {len(message.value or b'')} bytes".encode())
    return Message(message.key, None, [*(message.headers or []), note])
