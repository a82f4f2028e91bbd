"""What is told of outputs on their way: their events' ages when Kafka has them, offsets when it has them all."""

import time
from typing import Any

import numpy as np
import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.decision import Message
from streamscore.core.scoring.pipeline import Outcome
from streamscore.monitoring.metrics import Metrics
from streamscore.worker.delivery import MOST_EVENTS, MOST_SECONDS, Delivery

ROWS = 10


class Kafka:
    """A sink and a source that know what was handed over, what is acknowledged and what is committed."""

    commit_failed = False

    def __init__(self) -> None:
        self.handed, self.has = 0, 0
        self.committed: dict[Any, int] = {}

    def publish(self, outcome: Outcome) -> None:
        self.handed += len(outcome.scores)

    def outstanding(self) -> int:
        return self.handed - self.has

    def flush(self, _: float) -> bool:
        return self.outstanding() == 0

    def commit(self, offsets: dict[Any, int], wait: bool) -> None:
        self.committed = offsets


def outcome(offset: int, age: float, rows: int = ROWS) -> Outcome:
    """A batch of events that were sent so many seconds ago."""
    stamps = np.full(rows, (time.time() - age) * 1000).astype(np.int64)
    scores = [Message(None, b"{}", None)] * rows
    return Outcome(
        scores=scores,
        alerts=[],
        dead_letters=[],
        offsets={("events", 0): offset},
        risks=np.zeros(rows),
        bands=np.zeros(rows, np.int64),
        refused=[],
        timestamps=stamps,
        unknown_values={},
        ignored_fields=0,
    )


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def delivery(kafka: Any, metrics: Metrics) -> Delivery:
    return Delivery(kafka, kafka, metrics)


def aged(metrics: Metrics) -> float:
    """How many events' ages were told."""
    return metrics.registry.get_sample_value("streamscore_event_age_seconds_count", {"event_type": "transaction"}) or 0


def test_ages_are_told_batch_by_batch_and_offsets_together(kafka: Kafka, metrics: Metrics) -> None:
    """With outputs always on their way ages are told as they arrive; committed is only what is surely there."""
    books = delivery(kafka, metrics)
    books.publish(TRANSACTION, outcome(10, 0.1))
    books.publish(TRANSACTION, outcome(20, 0.1))
    kafka.has = ROWS
    assert not books.acknowledged(0)
    assert aged(metrics) == ROWS
    books.commit()
    assert kafka.committed == {}
    kafka.has = 2 * ROWS
    assert books.acknowledged(0)
    assert aged(metrics) == 2 * ROWS
    books.commit()
    assert kafka.committed == {("events", 0): 20}


def test_no_age_is_told_twice(kafka: Kafka, metrics: Metrics) -> None:
    """However often it is asked, and before and after all is acknowledged."""
    books = delivery(kafka, metrics)
    for round_ in range(3):
        books.publish(TRANSACTION, outcome(round_, 0.1))
        kafka.has = kafka.handed
        for _ in range(3):
            books.acknowledged(0)
        assert aged(metrics) == (round_ + 1) * ROWS
    seconds = metrics.registry.get_sample_value("streamscore_event_age_seconds_sum", {"event_type": "transaction"})
    assert seconds == pytest.approx(3 * ROWS * 0.1, abs=0.5)


def test_it_is_full_with_many_events_or_old_ones(
    kafka: Kafka, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a crash would repeat is bounded in events and in time."""
    books = delivery(kafka, metrics)
    books.publish(TRANSACTION, outcome(1, 0.1, MOST_EVENTS - 1))
    assert books.open
    assert not books.full
    books.publish(TRANSACTION, outcome(2, 0.1, 1))
    assert books.full
    kafka.has = kafka.handed
    assert books.acknowledged(0)
    books.publish(TRANSACTION, outcome(3, 0.1))
    assert not books.full
    later = time.monotonic() + MOST_SECONDS
    monkeypatch.setattr("streamscore.worker.delivery.time.monotonic", lambda: later)
    assert books.full
