"""Publishing: everything a batch produced, and the proof that Kafka has it."""

from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from streamscore.core.scoring.decision import Message
from streamscore.core.scoring.pipeline import DEAD_LETTER, Outcome
from streamscore.errors import BrokerError
from streamscore.kafka.clients import OnError, producer
from streamscore.settings.schema import Kafka, Outputs

FULL_QUEUE_SECONDS = 0.1


class KafkaSink:
    """Scores, alerts and dead letters to their topics. Used from one thread."""

    def __init__(self, kafka: Kafka, outputs: Outputs, on_error: OnError, give_up: Callable[[], bool]) -> None:
        """`give_up` is asked, about ten times a second, whether to wait on while the producer's queue is full."""
        self._outputs, self._give_up = outputs, give_up
        self._refused: str | None = None
        self._producer = producer(kafka, on_error, self._on_refused)

    def publish(self, outcome: Outcome) -> None:
        """Hand over a batch's outputs."""
        outputs = self._outputs
        self._send_all(outputs.scores, outcome.scores)
        self._send_all(outputs.alerts, outcome.alerts)
        self._send_all(outputs.dead_letters, outcome.dead_letters)

    def flush(self, timeout: float) -> bool:
        """Whether Kafka has everything that was handed over, waiting up to `timeout` seconds.

        BrokerError when it refused an output for good: nothing of its batch may be committed.
        """
        if timeout > 0:
            self._producer.flush(timeout)
        else:
            self._producer.poll(0)
        if self._refused:
            raise BrokerError(self._refused)
        return len(self._producer) == 0

    def outstanding(self) -> int:
        """Outputs that Kafka does not have yet."""
        return len(self._producer)

    def _on_refused(self, error: KafkaError, message: Any) -> None:
        refused = Message(message.key(), message.value(), message.headers())
        shorter = self._shorter(error, message.topic(), refused)
        if shorter:
            self._send(message.topic(), shorter)
        else:
            self._refused = f"{message.topic()}: an output was refused: {error.str()}"

    def _shorter(self, error: KafkaError, topic: str, message: Message) -> Message | None:
        """What to publish in place of a dead letter that is too long for its topic; None of anything else."""
        too_long = error.code() == KafkaError.MSG_SIZE_TOO_LARGE and topic == self._outputs.dead_letters
        return shortened(message) if too_long else None

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
                shorter = self._shorter(error.args[0], topic, message)
                if shorter is None:
                    raise BrokerError(f"{topic}: an output was refused: {error.args[0].str()}") from None
                message = shorter
            else:
                return

    def _wait_for_room(self) -> None:
        self._producer.poll(FULL_QUEUE_SECONDS)
        if self._give_up():
            raise BrokerError("outputs could not be published before the worker had to stop")


def shortened(message: Message) -> Message | None:
    """A dead letter less its longest part, its value, key or own headers; None when there is nothing left to leave out.

    A header says what is missing and how long it was. The coordinates in the other headers say where to find all of it.
    """
    headers = message.headers or []
    ours = [header for header in headers if header[0].startswith(DEAD_LETTER)]
    theirs = [header for header in headers if not header[0].startswith(DEAD_LETTER)]
    sizes = {
        "value": len(message.value or b""),
        "key": len(message.key or b""),
        "headers": sum(len(name) + len(value or b"") for name, value in theirs),
    }
    longest = max(sizes, key=lambda name: sizes[name])
    if not sizes[longest]:
        return None
    note = (f"{DEAD_LETTER}left_out", f"{longest} of {sizes[longest]} bytes".encode())
    kept = [*([] if longest == "headers" else theirs), *ours, note]
    return Message(None if longest == "key" else message.key, None if longest == "value" else message.value, kept)
