"""Replay: rows in order, keyed by their first entity, when they are due, and all of them acknowledged."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import BrokerError, DataError
from streamscore.files import replay as replay_module
from streamscore.files.read import wire_lines
from streamscore.files.replay import Pace, Wire, addressed, paced, replay, schedule
from streamscore.kafka.embedded import embedded_broker
from streamscore.kafka.produce import LISTEN_SECONDS
from streamscore.settings.schema import Kafka
from streamscore.simulator import streams as simulator

START = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
FAST = Pace()


def at(*seconds: float | None) -> list[Wire]:
    """Rows that occurred so many seconds after START."""
    return [Wire(None, b"{}", None if second is None else START + int(second * 1e6)) for second in seconds]


def due(rows: list[Wire], pace: Pace) -> list[float]:
    return [seconds for seconds, _ in schedule(rows, pace)]


class Client:
    """A producer whose queue is full every other time, and which refuses values of `refused`."""

    def __init__(self, refused: bytes = b"") -> None:
        self.sent: list[tuple[str, bytes, bytes | None]] = []
        self.refused, self.full, self.failed = refused, True, 0
        self.on_delivery: Any = None

    def list_topics(self, timeout: float) -> Any:
        class Topic:
            partitions = (0,)

        class Topics:
            topics = {"events": Topic}  # noqa: RUF012

        return Topics

    def produce(self, topic: str, value: bytes, key: bytes | None) -> None:
        self.full = not self.full
        if not self.full:
            raise BufferError
        if value == b"too long":
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        self.failed += value == self.refused
        self.sent.append((topic, value, key))

    def poll(self, timeout: float) -> int:
        while self.failed:
            self.failed -= 1
            self.on_delivery(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), None)
        return 0

    def flush(self, timeout: float) -> int:
        return self.poll(timeout)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    fake = Client(b"forbidden")

    def producer(kafka: Kafka, on_error: Any, on_delivery: Any) -> Client:
        fake.on_delivery = on_delivery
        return fake

    monkeypatch.setattr(replay_module, "producer", producer)
    return fake


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with embedded_broker({"events": 2}) as bootstrap:
        yield bootstrap


def test_keys_and_times() -> None:
    """A line gives its first entity as text and its time in microseconds, whatever its zone."""
    line = b'{"applicant_id":"a-1","occurred_at":"2025-01-01T01:00:00.000001+01:00"}'
    assert list(addressed(APPLICATION, [line])) == [Wire(b"a-1", line, START + 1)]


def test_lines_without_keys_travel() -> None:
    """Bad lines are sent as they are, without a key; they are the dead letters that a replay must show."""
    lines = [b"{bad", b"[]", b"\xff", b'{"customer_id":null}', b'{"customer_id":["x"]}']
    assert list(addressed(TRANSACTION, lines)) == [Wire(None, line, None) for line in lines]


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "0001-01-01T00:00:00+14:00"])
def test_times_at_the_ends_of_the_calendar(time: str) -> None:
    """A time without a zone, or at either end of the calendar, has a place like any other."""
    (row,) = addressed(TRANSACTION, [f'{{"occurred_at":"{time}"}}'.encode()])
    assert row.occurred_at is not None
    assert (row.occurred_at < 0) == time.startswith("0001")


def test_a_time_without_a_zone_is_utc() -> None:
    """Whatever the zone of the machine, a time without one stands where it would in UTC."""
    assert [row.occurred_at for row in addressed(TRANSACTION, [b'{"occurred_at":"2025-01-01T00:00:00"}'])] == [START]


def test_ids_that_are_numbers() -> None:
    """A number is keyed as its text."""
    assert [row.key for row in addressed(TRANSACTION, [b'{"customer_id":7}'])] == [b"7"]


def test_keys_equal_the_simulators() -> None:
    """A replayed file lands on the partitions where the simulated stream would be."""
    simulated = simulator.transactions(50, START, 1.0, 3)
    rows = list(addressed(TRANSACTION, simulator.json_lines(TRANSACTION, simulated)))
    assert [row.key for row in rows] == simulator.keys(TRANSACTION, simulated)
    assert [row.occurred_at for row in rows] == simulated.columns["occurred_at"].tolist()


def test_a_rate_spaces_rows_evenly() -> None:
    """The n-th row is due n / rate seconds after the start, whatever its own time."""
    assert due(at(5, 0, None), Pace(rate=4)) == [0, 0.25, 0.5]


def test_a_speed_keeps_the_distances_of_event_time() -> None:
    """A row is due as long after the first as it occurred after it, divided by the speed."""
    assert due(at(10, 12, 13, 20), Pace(speed=2)) == [0, 1, 1.5, 5]


def test_rows_out_of_order_or_without_a_time_follow_at_once() -> None:
    """A speed never reorders rows: one from the past, or without a time, is due with the row before it."""
    assert due(at(None, 10, 14, 12, None, 15), Pace(speed=1)) == [0, 0, 4, 4, 4, 5]


def test_as_fast_as_possible() -> None:
    """Without a pace every row is due at once."""
    assert due(at(0, 100, None), FAST) == [0, 0, 0]


def test_rows_wait_by_the_clock() -> None:
    """Rows leave when due, a late one at once, and no wait is so long that nobody listens."""
    now, waits = [100.0], []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    left = []
    for row in paced(at(0, 0.05, 0.3, 0.35), Pace(speed=1), lambda: now[0], wait):
        left.append(round(now[0] - 100, 6))
        now[0] += 0.2 if row.occurred_at == START + 50_000 else 0
    assert left == [0, 0.05, 0.3, 0.35]
    assert max(waits) <= LISTEN_SECONDS
    assert sum(waits) == pytest.approx(0.15)


@pytest.mark.parametrize("pace", [{"rate": 0}, {"speed": -1}, {"rate": float("nan")}, {"rate": 1, "speed": 1}])
def test_an_impossible_pace(pace: dict[str, float]) -> None:
    """A pace is above 0, and a rate or a speed, not both."""
    with pytest.raises(ValueError, match="one of rate and speed, above 0"):
        Pace(**pace)


def test_a_full_queue_is_waited_for(client: Client) -> None:
    """Each row is sent once and in order although the client's queue is full again and again."""
    rows = [Wire(b"%d" % row, b"{%d}" % row, None) for row in range(5)]
    assert replay(Kafka(), "events", rows, FAST).sent == 5
    assert client.sent == [("events", row.value, row.key) for row in rows]


@pytest.mark.parametrize("value", [b"forbidden", b"too long"])
@pytest.mark.parametrize("after", [0, 3])
def test_a_refused_event_is_an_error(client: Client, value: bytes, after: int) -> None:
    """An event that Kafka does not take ends the replay, at once or at the last wait, and is not quoted."""
    rows = [Wire(None, value, None), *at(*[0.0] * after)]
    with pytest.raises(BrokerError, match=r"^events: ") as caught:
        replay(Kafka(), "events", rows, FAST)
    assert value.decode() not in str(caught.value)
    assert len(client.sent) <= 1


def test_events_without_an_acknowledgement_are_an_error(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not acknowledged in time is said, with how many."""
    monkeypatch.setattr(replay_module, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(client, "flush", lambda _: 2)
    with pytest.raises(BrokerError, match="2 of 3 events are not acknowledged"):
        replay(Kafka(), "events", at(0, 0, 0), FAST)


def test_a_damaged_file_flushes_what_was_sent(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows before the damage are flushed, and the file's error is what the caller hears."""
    flush = Mock(return_value=0)
    monkeypatch.setattr(client, "flush", flush)

    def rows() -> Iterator[Wire]:
        yield from at(0)
        raise DataError("damaged")

    with pytest.raises(DataError, match="damaged"):
        replay(Kafka(), "events", rows(), FAST)
    assert (len(client.sent), flush.call_count) == (1, 1)


def test_ctrl_c_ends_the_sending(client: Client) -> None:
    """An interrupt stops between rows; the report says how many Kafka has."""

    def rows() -> Iterator[Wire]:
        yield from at(0, 0)
        os.kill(os.getpid(), signal.SIGINT)
        yield from at(0)

    assert replay(Kafka(), "events", rows(), FAST).sent == 2


def test_a_file_arrives_on_a_broker(broker: str, tmp_path: Path) -> None:
    """Every line of a file is on the topic, byte for byte, with its key, and each key in its order."""
    lines = simulator.json_lines(TRANSACTION, simulator.transactions(500, START, 1.0, 3))
    path = tmp_path / "paid.ndjson"
    path.write_bytes(b"\n".join(lines))
    rows = addressed(TRANSACTION, (line for chunk in wire_lines(path, TRANSACTION) for line in chunk))
    report = replay(Kafka(bootstrap=broker), "events", rows, Pace(rate=5000))
    assert report.sent == 500
    assert report.seconds >= 499 / 5000
    expected = list(addressed(TRANSACTION, lines))
    received = consumed(broker, 500)
    assert sorted(received) == sorted((row.key, row.value) for row in expected)
    key = expected[0].key
    assert [value for k, value in received if k == key] == [row.value for row in expected if row.key == key]


def consumed(broker: str, count: int) -> list[tuple[bytes | None, bytes | None]]:
    group = {"bootstrap.servers": broker, "group.id": "readers", "auto.offset.reset": "earliest", "log_level": 0}
    with Consumer(group) as consumer:
        consumer.subscribe(["events"])
        messages = consumer.consume(count, timeout=20)
    return [(message.key(), message.value()) for message in messages]


def test_a_topic_that_is_not_there(broker: str) -> None:
    """A misspelt topic is an error before anything is sent."""
    with pytest.raises(BrokerError, match="there is no topic evnts"):
        replay(Kafka(bootstrap=broker), "evnts", at(0), FAST)


def test_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a broker the replay ends, and says where it looked."""
    monkeypatch.setattr(replay_module, "CONNECT_SECONDS", 0.2)
    with pytest.raises(BrokerError, match=r"no broker answers at 127\.0\.0\.1:9:"):
        replay(Kafka(bootstrap="127.0.0.1:9"), "events", at(0), FAST)
