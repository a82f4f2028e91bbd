"""Send the events of a file to a topic: at a rate, at a multiple of their own pace, or as fast as Kafka takes them."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException

from streamscore.core.events.event_type import EventType
from streamscore.errors import BrokerError
from streamscore.files.read import glance
from streamscore.kafka.clients import FATAL_CODES, producer
from streamscore.kafka.produce import LISTEN_SECONDS, flushed, hand_over
from streamscore.kafka.topics import partitions_of
from streamscore.settings.schema import Kafka

CONNECT_SECONDS = 10.0
# Acknowledgements normally take milliseconds; a restarting cluster is given time to come back.
FLUSH_SECONDS = 60.0


class Wire(NamedTuple):
    """A line ready for Kafka: its first entity as key, its time in microseconds since 1970 UTC.

    Both are None where the line does not say.
    """

    key: bytes | None
    value: bytes
    occurred_at: int | None


@dataclass(frozen=True)
class Pace:
    """How fast rows are sent: `rate` events a second, or `speed` seconds of event time in each second.

    As fast as possible with neither. ValueError with both, or with one that is not above 0.
    """

    rate: float | None = None
    speed: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.rate, self.speed) if value is not None]
        if len(given) > 1 or any(not value > 0 for value in given):
            raise ValueError("a pace is one of rate and speed, above 0")


class ReplayReport(NamedTuple):
    """How many events Kafka acknowledged, and in how many seconds."""

    sent: int
    seconds: float


def addressed(event_type: EventType, lines: Iterable[bytes]) -> Iterator[Wire]:
    """Wire lines with the Kafka key and the event time that they give."""
    wire_names = {field.name: field.wire_name for field in event_type.fields}
    look = glance(
        entity=(wire_names[event_type.entities[0]], str | int), occurred_at=(wire_names["occurred_at"], datetime)
    )
    for line in lines:
        event = look(line)
        key = None if event.entity is None else str(event.entity).encode()
        yield Wire(key, line, None if event.occurred_at is None else _microseconds(event.occurred_at))


def _microseconds(time: datetime) -> int:
    """Without a zone it is no event's time, but a place in the file: as if it were UTC."""
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1e6)


def schedule(rows: Iterable[Wire], pace: Pace) -> Iterator[tuple[float, Wire]]:
    """Each row with the seconds after the start at which it is due; never earlier than the row before.

    With a speed, the first time in the file is the start, and rows without a time follow at once.
    """
    if pace.rate is not None:
        yield from ((number / pace.rate, row) for number, row in zip(count(), rows))
    elif pace.speed is None:
        yield from ((0.0, row) for row in rows)
    else:
        yield from _in_event_time(rows, pace.speed)


def paced(rows: Iterable[Wire], pace: Pace, clock: Callable[[], float], wait: Callable[[float], Any]) -> Iterator[Wire]:
    """Each row when it is due by the `clock`, in seconds; `wait` is asked to let some seconds pass."""
    start = clock()
    for due, row in schedule(rows, pace):
        while (left := start + due - clock()) > 0:
            wait(min(left, LISTEN_SECONDS))
        yield row


def _in_event_time(rows: Iterable[Wire], speed: float) -> Iterator[tuple[float, Wire]]:
    first, due = None, 0.0
    for row in rows:
        if row.occurred_at is not None:
            first = row.occurred_at if first is None else first
            due = max(due, (row.occurred_at - first) / 1e6 / speed)
        yield due, row


def replay(kafka: Kafka, topic: str, rows: Iterable[Wire], pace: Pace) -> ReplayReport:
    """Produce rows to a topic that exists, and wait until Kafka has them all. Ctrl-C ends the sending early.

    BrokerError when there is no broker or topic, or when an event is not taken.
    """
    failures: list[str] = []

    def on_error(error: KafkaError) -> None:
        if error.fatal() or error.code() in FATAL_CODES:
            failures.append(error.str())

    client = producer(kafka, on_error, lambda error, _: failures.append(error.str()))
    _check_topic(client, kafka, topic)
    start, sent = time.monotonic(), 0
    try:
        with suppress(KeyboardInterrupt):
            for row in paced(rows, pace, time.monotonic, client.poll):
                hand_over(client, topic, row.key, row.value, failures)
                sent += 1
    finally:
        # Also when the file turned out to be damaged: what was sent is there.
        left = flushed(client, failures, FLUSH_SECONDS)
    if failures or left:
        raise BrokerError(f"{topic}: {failures[0] if failures else f'{left} of {sent} events are not acknowledged'}")
    return ReplayReport(sent, time.monotonic() - start)


def _check_topic(client: Any, kafka: Kafka, topic: str) -> None:
    try:
        topics = partitions_of(client, CONNECT_SECONDS)
    except KafkaException as error:
        raise BrokerError(f"no broker answers at {kafka.bootstrap}: {error.args[0].str()}") from None
    if topic not in topics:
        raise BrokerError(f"there is no topic {topic}")
