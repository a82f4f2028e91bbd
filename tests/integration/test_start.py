"""Where a worker begins to read, and what keeps it from beginning."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from streamscore.models.store import ModelStore
from tests.support.apache_kafka.cluster import free_ports
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import (
    END_SECONDS,
    READY_SECONDS,
    Books,
    Road,
    Worker,
    environment,
    produce,
    road,
    transactions,
    until,
    worker,
)

# Three workers that start at once share the processors.
TOGETHER_SECONDS = 3 * READY_SECONDS
# A topic's new partitions are seen when its metadata is looked at again, by default after five minutes.
QUICK_METADATA = {"kafka.options": "{topic.metadata.refresh.interval.ms: 500}"}


@pytest.fixture
def nowhere(tmp_path: Path) -> Road:
    """A road without a broker, topics or models."""
    outputs = {"scores": "scores", "alerts": "alerts", "dead_letters": "dead-letters"}
    return Road(f"127.0.0.1:{free_ports(1)[0]}", "events", outputs, "group", tmp_path / "models")


def end_of(path: Road, folder: Path, settings: Mapping[str, object] = {}) -> tuple[int, str]:
    """The exit code and the last words of a worker that cannot start or go on."""
    running = Worker(path, folder / "worker.log", settings)
    try:
        return running.process.wait(READY_SECONDS), running.log().splitlines()[-1]
    finally:
        running.process.kill()
        running.process.wait()


def scored(path: Road, running: Worker, events: int) -> set[tuple[int, int]]:
    """The inputs that a worker scores until it has scored so many, and is asked to end."""
    books = Books(path)
    until(lambda: books.read() >= events, TOGETHER_SECONDS, f"{events} events are scored", running.alive)
    assert running.terminate() == 0, running.log()[-2000:]
    books.read()
    books.close()
    assert books.duplicates() == 0
    return set(books.scores)


def ends(path: Road) -> dict[int, int]:
    books = Books(path)
    try:
        return books.ends()
    finally:
        books.close()


def delete_before(path: Road, offset: int) -> None:
    """Let what stands before an offset of partition 0 expire."""
    admin = AdminClient({"bootstrap.servers": path.bootstrap})
    for deleted in admin.delete_records([TopicPartition(path.input, 0, offset)]).values():
        assert deleted.result(30).low_watermark == offset


def committed(path: Road) -> int:
    client = Consumer({"bootstrap.servers": path.bootstrap, "group.id": path.group})
    (found,) = client.committed([TopicPartition(path.input, 0)], timeout=10)
    client.close()
    return int(found.offset)


class NewGroups(NamedTuple):
    """Three groups that had never read anything: what became of each."""

    untold: Road
    refusal: tuple[int, str]
    earliest: Road
    from_earliest: set[tuple[int, int]]
    from_time: set[tuple[int, int]]
    since_time: set[tuple[int, int]]


@pytest.fixture(scope="module")
def new_groups(kafka: Endpoint, store: Path, tmp_path_factory: pytest.TempPathFactory) -> NewGroups:
    """One is not told where to start, one is told earliest, one a time; their workers start together."""
    untold, earliest, timed = (road(kafka, store, partitions) for partitions in (1, 1, 2))
    produce(untold, transactions(10))
    produce(earliest, transactions(30))
    delete_before(earliest, 10)
    produce(timed, transactions(30))
    before = ends(timed)
    time.sleep(0.01)  # the records before and after stand in different milliseconds
    at = datetime.now(UTC).isoformat()
    produce(timed, transactions(40, first=30))
    since = {(p, offset) for p, end in ends(timed).items() for offset in range(before[p], end)}
    log = tmp_path_factory.mktemp("untold") / "worker.log"
    with log.open("w") as out:
        untold_worker = subprocess.Popen(untold_command(untold), stdout=out, stderr=out, env=environment())
    told = [
        Worker(path, tmp_path_factory.mktemp("told") / "worker.log", {"kafka.start_from": start})
        for path, start in ((earliest, "earliest"), (timed, at))
    ]
    try:
        found = [
            scored(path, running, events)
            for path, running, events in zip((earliest, timed), told, (20, 40), strict=True)
        ]
        refusal = untold_worker.wait(TOGETHER_SECONDS), log.read_text().splitlines()[-1]
    finally:
        for process in (untold_worker, *(running.process for running in told)):
            process.kill()
            process.wait()
    from_earliest, from_time = found
    return NewGroups(untold, refusal, earliest, from_earliest, from_time, since)


def untold_command(path: Road) -> list[str]:
    """A worker without `kafka.start_from`."""
    given = {
        "kafka.bootstrap": path.bootstrap,
        "kafka.group": path.group,
        "inputs": f"{{{path.input}: transaction}}",
        "models.store": path.store,
        "http.port": 0,
        **{f"outputs.{name}": output for name, output in path.outputs.items()},
    }
    flags = [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "streamscore", "worker", *flags]


@pytest.mark.kafka
def test_a_new_group_must_be_told_where_to_start(new_groups: NewGroups) -> None:
    """Without start_from a group that never read the topic is refused, with words, and nothing is committed."""
    code, words = new_groups.refusal
    assert code == 3, words
    assert f"group {new_groups.untold.group} has never read {new_groups.untold.input}" in words
    assert "set kafka.start_from to latest, earliest or a time" in words
    assert committed(new_groups.untold) < 0


@pytest.mark.kafka
def test_earliest_is_what_is_still_there(new_groups: NewGroups) -> None:
    """With `earliest` everything is scored that has not expired."""
    assert new_groups.from_earliest == {(0, offset) for offset in range(10, 30)}


@pytest.mark.kafka
def test_a_time_is_where_a_new_group_starts(new_groups: NewGroups) -> None:
    """With a time, records that Kafka stamped before it are left out and all later ones scored."""
    assert new_groups.from_time == new_groups.since_time


@pytest.mark.kafka
def test_expired_offsets_stop_the_worker(new_groups: NewGroups, tmp_path: Path) -> None:
    """When what a group has yet to read expires, the worker stops with words and skips nothing."""
    path = new_groups.earliest
    produce(path, transactions(30, first=30))
    delete_before(path, 45)
    code, words = end_of(path, tmp_path, {"kafka.start_from": "earliest"})
    assert code == 6, words
    assert f"{path.input} partition 0" in words
    assert path.group in words
    assert committed(path) == 30
    books = Books(path)
    until(lambda: books.read() >= 20, 30, "the scores are read")
    assert books.read() == 20
    books.close()


@pytest.mark.kafka
def test_latest_holds_through_a_crash_and_not_for_new_partitions(kafka: Endpoint, store: Path, tmp_path: Path) -> None:
    """`latest` is committed on joining, so what comes after a kill is scored; a later partition is read whole."""
    path, latest = road(kafka, store, 1), {"kafka.start_from": "latest", **QUICK_METADATA}
    produce(path, transactions(30))
    with worker(path, tmp_path, latest) as first:
        first.kill()
    assert committed(path) == 30
    produce(path, transactions(20, first=30))
    books = Books(path)
    with worker(path, tmp_path, latest) as second:
        until(lambda: books.read() >= 20, 30, "what came after the kill is scored", second.alive)
        admin = AdminClient({"bootstrap.servers": path.bootstrap})
        for added in admin.create_partitions([NewPartitions(path.input, 2)]).values():
            added.result(30)
        until(lambda: len(books.ends()) == 2, 30, "the partition is there")
        produce(path, transactions(200, first=50))
        until(lambda: books.read() >= 220, 60, "the new partition is read", second.alive)
        assert second.terminate() == 0
    books.read()
    ends = books.ends()
    books.close()
    assert ends[1] > 0
    assert books.duplicates() == 0
    assert set(books.scores) == {(0, o) for o in range(30, ends[0])} | {(1, o) for o in range(ends[1])}


@pytest.mark.kafka
def test_missing_topics_are_named(kafka: Endpoint, store: Path, tmp_path: Path) -> None:
    """A topic that does not exist ends the worker with words that name it and the command that creates it."""
    path = road(kafka, store, 1)
    lacking = path._replace(input="no-such-input", outputs={**path.outputs, "alerts": "no-such-alerts"})
    code, words = end_of(lacking, tmp_path)
    assert code == 5, words
    assert "topics no-such-input, no-such-alerts do not exist" in words
    assert "streamscore topics create" in words


@pytest.mark.kafka
def test_no_champion_is_said(kafka: Endpoint, tmp_path: Path) -> None:
    """Without a first model there is nothing to score with."""
    code, words = end_of(road(kafka, tmp_path / "empty", 1), tmp_path)
    assert code == 4, words
    assert "no champion for transaction" in words


def emptied(version: Path) -> None:
    (version / "model.keras").write_bytes(b"")


def changed(version: Path) -> None:
    content = bytearray((version / "scaler.json").read_bytes())
    content[-5] ^= 1
    (version / "scaler.json").write_bytes(content)


def removed(version: Path) -> None:
    (version / "golden.npz").unlink()


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("spoil", "what"),
    [(emptied, "model.keras"), (changed, "scaler.json"), (removed, "golden.npz")],
    ids=["emptied", "changed", "removed"],
)
def test_a_spoilt_champion_is_refused(
    kafka: Endpoint, models: Path, tmp_path: Path, spoil: Callable[[Path], None], what: str
) -> None:
    """A first champion whose files are not what its manifest says is not used; the words say which file."""
    version = ModelStore(str(models), "transaction").alias("champion") or ""
    spoil(models / "transaction" / version)
    code, words = end_of(road(kafka, models, 1), tmp_path)
    assert code == 4, words
    assert f"{version}: {what}" in words


def test_it_waits_for_a_broker_and_can_be_stopped(nowhere: Road, tmp_path: Path) -> None:
    """Before there is a broker it is alive, not ready, says what it waits for, and SIGTERM ends it with 0."""
    waiting = Worker(nowhere, tmp_path / "worker.log")
    try:
        until(lambda: "no broker answers" in waiting.log(), 30, "it says that it waits", waiting.alive)
        assert waiting.get("/readyz") == (503, "waiting for a broker\n")
        assert waiting.get("/livez") == (200, "ok\n")
        assert "streamscore_ready 0.0" in waiting.get("/metrics")[1]
        assert waiting.terminate() == 0
    finally:
        waiting.process.kill()
        waiting.process.wait(END_SECONDS)
