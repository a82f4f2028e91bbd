"""Handing single messages to a producer, and waiting until Kafka has them."""

import time
from typing import Any

from confluent_kafka import KafkaException

from streamscore.errors import BrokerError

# An idle producer must still hear of failures, and Ctrl-C must be heard, this often.
LISTEN_SECONDS = 0.1


def hand_over(client: Any, topic: str, key: bytes | None, value: bytes, failures: list[str]) -> None:
    """Give one message to a producer, waiting while its queue is full; BrokerError when any was refused."""
    while not failures:
        try:
            client.produce(topic, value, key)
        except BufferError:
            client.poll(LISTEN_SECONDS)
        except KafkaException as error:
            raise BrokerError(f"{topic}: an event was refused: {error.args[0].str()}") from None
        else:
            client.poll(0)
            return
    raise BrokerError(f"{topic}: an event was refused: {failures[0]}")


def flushed(client: Any, failures: list[str], seconds: float) -> int:
    """Wait for acknowledgements, in steps that let Ctrl-C through; how many events have none in the end."""
    end = time.monotonic() + seconds
    while (left := int(client.flush(1.0))) and not failures and time.monotonic() < end:
        pass
    return left
