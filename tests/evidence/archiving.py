"""Archivers as processes on Apache Kafka, and the audit of their tables: every record in exactly one, once."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from deltalake import DeltaTable

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.decision import Score
from tests.bench.rows import Row
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import Keyed, Road, Worker, road, transactions, until

PARTITIONS = 4
# Rolls small enough for many of them to be written between two kills.
QUICK = {
    "archive.roll_rows": 20_000,
    "archive.roll_seconds": 1,
    "archive.idle_seconds": 0.5,
    # One that was killed is missed after this time.
    "kafka.consumer": "{session.timeout.ms: 2000, heartbeat.interval.ms: 500}",
}
POOL = 20_000
# Events, labels and scores of the long form: at this rate a kill's share of them flows for ten seconds.
EVIDENCE, KILLS, RATE = (700_000, 100_000, 200_000), 20, 5_000
TABLES = [f"transaction/{name}" for name in ("events", "labels", "scores", "refused")] + ["refused"]


class Audit(NamedTuple):
    """Records sent, and those that no table holds, that are held more than once, and that no topic has."""

    records: int
    missing: int
    doubled: int
    foreign: int
    rows: Mapping[str, int]
    kills: int = 0

    @property
    def holds(self) -> bool:
        return self.missing == self.doubled == self.foreign == 0


class Scene(NamedTuple):
    """A road whose input, labels and scores are archived, and where to."""

    road: Road
    labels: str
    url: Path
    folder: Path

    @property
    def topics(self) -> list[str]:
        return [self.road.input, self.labels, self.road.outputs["scores"]]


def scene(kafka: Endpoint, folder: Path) -> Scene:
    """Fresh topics, and an archive that is not there yet."""
    return Scene(road(kafka, folder, PARTITIONS), kafka.new_topic(2), folder / "tables", folder)


def archiver(
    place: Scene, settings: Mapping[str, object] = {}, name: str = "archiver", command: Sequence[str] = ("archiver",)
) -> Worker:
    """A running archiver of a scene."""
    given = {
        "archive.url": place.url,
        "archive.group": f"archiver-{place.road.input}",
        "labels": f"{{{place.labels}: transaction}}",
        **QUICK,
        **settings,
    }
    return Worker(place.road, place.folder / f"{name}.log", given, command=command)


@contextmanager
def running(place: Scene, settings: Mapping[str, object] = {}, name: str = "archiver") -> Iterator[Worker]:
    """An archiver that does not outlive the test."""
    started = archiver(place, settings, name)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.kill()


def pools(place: Scene) -> dict[str, list[Keyed]]:
    """Records of each topic to send again and again: one in a hundred is no event, no label, no score."""
    sent = transactions(POOL)
    events = [(key, value[:40] if value and row % 100 == 7 else value) for row, (key, value) in enumerate(sent)]
    said: list[Any] = [msgspec.json.decode(value or b"", type=TRANSACTION.struct) for _, value in sent[: POOL // 4]]
    now = datetime.now(UTC)
    labels = [
        msgspec.json.encode(
            {name: getattr(event, name) for name in ("event_id", "occurred_at", *TRANSACTION.entities)}
            | {"label": row % 3 == 0, "labelled_at": now if row % 100 else "never"}
        )
        for row, event in enumerate(said)
    ]
    scores = [
        msgspec.json.encode(
            Score(
                str(row), event.event_id, "transaction" if row % 100 else "unknown", TRANSACTION.entities_of(event),
                0.5, "review", "m1", place.road.input, 0, row, event.occurred_at, now, (), row % 10 == 0,
            )
        )
        for row, event in enumerate(said)
    ]  # fmt: skip
    return {
        place.topics[0]: events,
        place.topics[1]: [(None, value) for value in labels],
        place.topics[2]: [(None, value) for value in scores],
    }


def send(place: Scene, counts: Sequence[int], rate: float | None = None) -> None:
    """Send so many records to the topics of events, labels and scores, mixed; all at once or so many a second."""
    client = Producer({"bootstrap.servers": place.road.bootstrap, "linger.ms": 5, "compression.type": "lz4"})
    turns = [topic for topic, count in zip(place.topics, counts, strict=True) for _ in range(count)]
    random.Random(1).shuffle(turns)
    records = {topic: cycle(pool) for topic, pool in pools(place).items()}
    start = time.monotonic()
    for number, topic in enumerate(turns):
        key, value = next(records[topic])
        while True:
            try:
                client.produce(topic, value, key)
                break
            except BufferError:
                client.poll(0.1)
        if rate and number % 100 == 0:
            client.poll(0)
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
    assert client.flush(120) == 0


def ends(place: Scene) -> dict[tuple[str, int], int]:
    """The number of records of each partition."""
    client = Consumer({"bootstrap.servers": place.road.bootstrap, "group.id": "ends"})
    found = {}
    for topic in place.topics:
        for partition in client.list_topics(topic, timeout=10).topics[topic].partitions:
            found[topic, partition] = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1]
    client.close()
    return found


def held(place: Scene) -> dict[str, list[tuple[str, int, int]]]:
    """The coordinates of the rows of each table."""
    found = {}
    for table in TABLES:
        if DeltaTable.is_deltatable(str(place.url / table)):
            rows = DeltaTable(str(place.url / table)).to_pyarrow_table(
                columns=["kafka_topic", "kafka_partition", "kafka_offset"]
            )
            found[table] = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
    return found


def audit(place: Scene, kills: int = 0) -> Audit:
    """What the tables hold against what Kafka holds."""
    tables = held(place)
    rows = Counter(at for coordinates in tables.values() for at in coordinates)
    sent = {(topic, p, offset) for (topic, p), end in ends(place).items() for offset in range(end)}
    doubled = sum(count - 1 for count in rows.values())
    counts = {table: len(coordinates) for table, coordinates in tables.items()}
    return Audit(len(sent), len(sent - rows.keys()), doubled, len(rows.keys() - sent), counts, kills)


def await_all(place: Scene, check: Worker, seconds: float = 120) -> None:
    """Wait until as many rows as records are there."""
    total = sum(ends(place).values())

    def complete() -> bool:
        return sum(DeltaTable(str(place.url / t)).count() for t in TABLES if _is_there(place, t)) >= total

    until(complete, seconds, f"all of {total} records are archived", check.alive)


def _is_there(place: Scene, table: str) -> bool:
    return DeltaTable.is_deltatable(str(place.url / table))


def killed(place: Scene, counts: Sequence[int], kills: int, rate: float | None) -> Audit:
    """Archive records while they come, with so many kill -9: each at a random moment while rolls are written.

    A share of the records begins to flow when an archiver is there to be killed: on a busy machine one takes longer to
    start than all of them take to be sent, and the next would have nothing to write.
    """
    shares, draw = [count // kills for count in counts], random.Random(7)
    for number in range(kills):
        often = {"archive.roll_rows": 2_000, "archive.roll_seconds": 0.1}
        with running(place, often, f"archiver-{number}") as victim:
            victim.await_ready()
            before, sender = _written(victim), threading.Thread(target=send, args=(place, shares, rate), daemon=True)
            sender.start()
            until(lambda one=victim, seen=before: _written(one) > seen, 60, "it writes", victim.alive)  # type: ignore[misc]
            time.sleep(draw.uniform(0, 1))
            victim.kill()
        sender.join()
    with running(place) as last:
        last.await_ready()
        await_all(place, last)
        assert last.terminate() == 0, last.log()[-3000:]
    return audit(place, kills)


def _written(archiver: Worker) -> int:
    return archiver.log().count("rows to")


def exactly_once(kafka: Endpoint, folder: Path) -> list[Row]:
    """1,000,000 records with twenty kill -9 while they flow."""
    found = killed(scene(kafka, folder), EVIDENCE, KILLS, RATE)
    print(f"  {found}", flush=True)
    return [
        Row("archive: records", found.records, "records", ">= 1000000"),
        Row("archive: kill -9", found.kills, "times", ">= 20"),
        Row("archive: records missing", found.missing, "records", "== 0"),
        Row("archive: rows doubled", found.doubled, "rows", "== 0"),
        Row("archive: rows of no record", found.foreign, "rows", "== 0"),
    ]
