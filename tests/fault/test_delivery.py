"""Nothing is lost, and what comes twice is bounded, whatever happens: the short form on Apache Kafka.

`make evidence` tells the same stories with 200,000 events.
"""

from pathlib import Path

import pytest

from tests.evidence import delivery
from tests.support.apache_kafka.cluster import Cluster
from tests.support.apache_kafka.endpoint import Endpoint

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS, RATE = 8_000, 1_000


def test_kill_nine_loses_nothing(kafka: Endpoint, store: Path, tmp_path: Path) -> None:
    """A kill with -9: every event is scored, and only the uncommitted come twice."""
    audit = delivery.kill_nine(kafka, store, tmp_path, EVENTS, RATE, kills=1)
    assert audit.holds, audit


def test_workers_join_and_leave(kafka: Endpoint, store: Path, tmp_path: Path) -> None:
    """Workers 2, then 3, then 2: every event is scored exactly once."""
    audit = delivery.two_three_two(kafka, store, tmp_path, EVENTS, RATE)
    assert audit.holds, audit


def test_broker_goes_away_for_a_while(own_kafka: Cluster, store: Path, tmp_path: Path) -> None:
    """The worker says that it waits, goes on by itself, and every event is scored exactly once."""
    audit = delivery.broker_stopped(own_kafka, store, tmp_path, EVENTS, RATE, seconds=4)
    assert audit.holds, audit
    assert "waiting for" in audit.note


def test_sigterm_under_load(kafka: Endpoint, store: Path, tmp_path: Path) -> None:
    """Stopped in the middle of the stream, the worker ends with 0 and every event is scored exactly once."""
    audit = delivery.stopped_under_load(kafka, store, tmp_path, EVENTS, RATE, stops=1)
    assert audit.holds, audit
