"""The whole worker on a source and sinks in memory: what it scores, what it commits, and when it does not."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import BundleError, DrainTimeout
from streamscore.models.store import ModelStore
from streamscore.settings.schema import Settings
from streamscore.simulator import streams as simulator
from streamscore.testing import FixedClock, MemorySink, MemorySource
from streamscore.worker.worker import Worker
from tests.support.running import until
from tests.support.trained import simulated

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = [msgspec.json.decode(line) for line in simulator.json_lines(TRANSACTION, simulated("transaction", 300))]
SETTINGS = {"inputs": {"payments": "transaction"}, "http": {"port": 0}, "drain_seconds": 1.0}


def settings(models: Path, **more: Any) -> Settings:
    return Settings.model_validate({**SETTINGS, "models": {"store": str(models)}, **more})


@contextmanager
def running(worker: Worker) -> Iterator[list[BaseException]]:
    """A worker on a thread of its own, stopped at the end; what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:  # handed to the test
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield raised
    finally:
        worker.stop()
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.usefixtures("quick_warming")
def test_every_event_is_scored_once_without_kafka(models: Path) -> None:
    """Each event has one score, a bad one is a dead letter with its reason, and all of it is committed at the end."""
    source, sink = MemorySource.of("payments", [*EVENTS[:200], b"no event", *EVENTS[200:]]), MemorySink()
    worker = Worker(settings(models), source=source, sinks=[sink], clock=FixedClock(NOW))
    with running(worker) as raised:
        until(lambda: len(sink.scores) == len(EVENTS), 60, "all events are scored")
    assert raised == []
    assert [score["event_id"] for score in sink.scores] == [event["event_id"] for event in EVENTS]
    assert {score["scored_at"] for score in sink.scores} == {"2026-01-01T00:00:00Z"}
    assert [(letter["reason"], letter["offset"], letter["value"]) for letter in sink.dead_letters] == [
        ("bad_json", "200", b"no event")
    ]
    assert source.offsets == {("payments", 0): len(EVENTS) + 1}
    assert source.closed
    assert sink.closed


@pytest.mark.usefixtures("quick_warming")
def test_offsets_wait_for_every_sink(models: Path) -> None:
    """While one of two sinks has not flushed nothing is committed, and a worker that is stopped then says so."""
    source, quick, slow = MemorySource.of("payments", EVENTS), MemorySink(), MemorySink()
    slow.durable = False
    with running(Worker(settings(models), source=source, sinks=[quick, slow])) as raised:
        until(lambda: len(quick.scores) == len(EVENTS), 60, "all events are scored")
        time.sleep(0.3)
        assert source.offsets == {}
    assert [type(error) for error in raised] == [DrainTimeout]
    assert source.offsets == {}


@pytest.mark.usefixtures("quick_warming")
def test_a_store_of_ones_own_is_used(models: Path, tmp_path: Path) -> None:
    """A store that is handed in replaces that of the settings."""
    source, sink = MemorySource.of("payments", EVENTS[:20]), MemorySink()
    stores = {"transaction": ModelStore(str(models), "transaction")}
    with running(Worker(settings(tmp_path / "none"), source=source, sinks=[sink], store=stores)) as raised:
        until(lambda: len(sink.scores) == 20, 60, "all events are scored")
    assert raised == []
    assert {score["model"] for score in sink.scores} == {stores["transaction"].alias("champion")}


def test_without_a_champion_it_does_not_start(tmp_path: Path) -> None:
    """A store without a champion ends the worker before a record is read."""
    source = MemorySource.of("payments", EVENTS[:20])
    with pytest.raises(BundleError, match="no champion for transaction"):
        Worker(settings(tmp_path), source=source, sinks=[MemorySink()]).run()
    assert not source.exhausted


def test_a_worker_that_is_stopped_before_it_runs_scores_nothing(tmp_path: Path) -> None:
    """A stop that came before the start holds."""
    source = MemorySource.of("payments", EVENTS[:20])
    worker = Worker(settings(tmp_path), source=source, sinks=[MemorySink()])
    worker.stop()
    worker.run()
    assert not source.exhausted


def test_outputs_must_go_somewhere(tmp_path: Path) -> None:
    """A source of one's own without a sink is refused: its scores would be lost, and its offsets committed."""
    with pytest.raises(ValueError, match="needs a sink"):
        Worker(settings(tmp_path), source=MemorySource.of("payments", EVENTS[:20]))


def test_a_fixed_clock_moves_when_told() -> None:
    """It stands at its time in UTC until it is moved, and refuses a time without a zone."""
    clock = FixedClock(NOW)
    assert clock() == clock() == NOW
    clock.move(timedelta(days=1))
    assert clock() == NOW + timedelta(days=1)
    with pytest.raises(ValueError, match="zone"):
        FixedClock(datetime(2026, 1, 1))  # noqa: DTZ001  the naive time is the point
