"""The archiver on Apache Kafka: every record in one table, once, whoever is killed, paused or kept from writing."""

import os
import signal
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.evidence.archiving import Scene, archiver, audit, await_all, ends, killed, running, scene, send
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import until

pytestmark = pytest.mark.kafka

SMALL = (4_000, 500, 500)


@pytest.fixture
def place(kafka: Endpoint, tmp_path: Path) -> Scene:
    return scene(kafka, tmp_path)


def committed(place: Scene) -> dict[tuple[str, int], int]:
    """Where the archivers' group stands."""
    client = Consumer({"bootstrap.servers": place.road.bootstrap, "group.id": f"archiver-{place.road.input}"})
    found = client.committed([TopicPartition(*partition) for partition in ends(place)], timeout=10)
    client.close()
    return {(partition.topic, partition.partition): partition.offset for partition in found}


@pytest.mark.slow
def test_killed_at_any_moment_each_record_is_archived_once(place: Scene) -> None:
    """Three times kill -9 while records flow: none is missing, none is there twice."""
    found = killed(place, (24_000, 3_000, 3_000), 3, 3_000)
    assert found.records == 30_000
    assert found.holds, found


def test_an_idle_stream_is_written_and_its_lag_is_seen(place: Scene) -> None:
    """No more records come, and all are in the tables; the group's offsets follow, and the metrics say so."""
    send(place, SMALL)
    with running(place, {"archive.roll_rows": 1_000_000, "archive.roll_seconds": 3600}) as one:
        await_all(place, one)
        until(lambda: committed(place) == ends(place), 20, "the group's offsets are those of the tables", one.alive)
        until(lambda: one.get("/readyz")[0] == 200, 20, "it is ready", one.alive)
        metrics = one.get("/metrics")[1]
        assert f'streamscore_archive_records_total{{topic="{place.road.input}"}} 4000.0' in metrics
        assert 'streamscore_archive_rows_total{table="transaction/events"} 3960.0' in metrics
        assert one.terminate() == 0
    assert audit(place).holds


def test_what_was_read_is_written_before_it_stops(place: Scene) -> None:
    """SIGTERM writes a roll that is far from due."""
    send(place, SMALL)
    patient = {"archive.roll_rows": 1_000_000, "archive.roll_seconds": 3600, "archive.idle_seconds": 3600}
    with running(place, patient) as one:
        waiting = "streamscore_archive_waiting_rows 5000.0"
        until(lambda: waiting in one.get("/metrics")[1], 60, "all is read", one.alive)
        assert audit(place).missing == 5_000
        assert one.terminate() == 0, one.log()
    assert audit(place).holds


@pytest.mark.slow
def test_a_zombie_that_wakes_up_doubles_nothing(place: Scene) -> None:
    """An archiver is paused with rows in hand, another takes over, and the first goes on where that one is."""
    send(place, SMALL)
    patient = {"archive.roll_rows": 1_000_000, "archive.roll_seconds": 6, "archive.idle_seconds": 3600}
    with running(place, patient) as zombie:
        until(lambda: "waiting_rows 5000.0" in zombie.get("/metrics")[1], 60, "it has read all", zombie.alive)
        os.kill(zombie.process.pid, signal.SIGSTOP)
        other = archiver(place, name="other")
        try:
            await_all(place, other)
            os.kill(zombie.process.pid, signal.SIGCONT)
            send(place, SMALL)
            await_all(place, other)
            assert other.terminate() == 0
        finally:
            other.process.kill()
        assert zombie.terminate() == 0, zombie.log()
    found = audit(place)
    assert found.records == 10_000
    assert found.holds, found


def test_an_archive_that_cannot_be_written_is_waited_for(place: Scene) -> None:
    """Nothing is lost or doubled, it says what it waits for, and goes on by itself."""
    place.url.write_text("in the way")
    send(place, SMALL)
    with running(place) as one:
        until(lambda: "waiting for the archive" in one.get("/readyz")[1], 60, "it says what it waits for", one.alive)
        place.url.unlink()
        await_all(place, one)
        assert one.terminate() == 0, one.log()
    assert audit(place).holds


def test_records_that_are_gone_are_not_passed_over_in_silence(place: Scene) -> None:
    """What retention deleted before it was archived stops the archiver, until it is told to accept the gap."""
    send(place, SMALL)
    with running(place) as one:
        await_all(place, one)
        assert one.terminate() == 0
    send(place, SMALL)
    client = AdminClient({"bootstrap.servers": place.road.bootstrap})
    newest = TopicPartition(place.road.input, 0, ends(place)[place.road.input, 0] - 1)
    (deleted,) = client.delete_records([newest]).values()
    deleted.result(30)
    stopped = archiver(place)
    assert stopped.process.wait(60) == 6, stopped.log()
    assert "gone before they were archived" in stopped.log()
    going = archiver(place, command=("archiver", "--accept-gaps"))
    try:
        until(lambda: committed(place) == ends(place), 60, "it goes on to the end", going.alive)
    finally:
        going.kill()
    found = audit(place)
    assert (found.doubled, found.rows["transaction/labels"]) == (0, 990)
