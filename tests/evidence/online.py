"""Online = offline: the features that workers publish while they read a backlog are those of the file, to the last bit.

The public data sets are not part of the project: DATA names the folder that holds them as parquet.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from confluent_kafka import Consumer, TopicPartition

from tests.bench.rows import Row
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import START, Books, Keyed, Road, Worker, produce, road, run_command, until

EVENT_TYPE = "tests.support.windowed:WINDOWED"
PARTITIONS = 4
TRAINED_ON, REAL = 120_000, 300_000
PROGRAM = ("-m", "streamscore")
# Event-time reading switched off: what is buffered is released whatever other partitions still have.
CARELESS = (
    "-c",
    "from streamscore.core.events.order import EventTimeOrder\n"
    "EventTimeOrder._bound = lambda *_: float('inf')\n"
    "EventTimeOrder._merge = staticmethod(lambda heads, _: [e for lane, count in heads for e in lane.take(count)])\n"
    "from streamscore.cli.main import main\n"
    "main()",
)
RESTORED = "rows are restored of snapshot"
WEEK = pa.scalar(7 * 24 * 3600 * 1_000_000, pa.duration("us"))


class Case(NamedTuple):
    """A file of transactions, a store with a model of their event type, and a folder for what is made of them."""

    events: Path
    store: Path
    folder: Path
    event_type: str = EVENT_TYPE


def real(data: Path, rows: int) -> pa.Table:
    """The first so many real transactions."""
    return pq.read_table(min(data.glob("transactions-*.parquet"))).slice(0, rows)


def made(rows: int, days: int) -> pa.Table:
    """Transactions in the same form, made up: several a second, and a terminal's next one mostly another customer's."""
    draw = np.random.default_rng(7)
    at = np.sort(draw.integers(0, days * 86_400, rows)) + START // 1_000_000
    amount = np.round(draw.gamma(2.0, 40.0, rows), 2)
    return pa.table(
        {
            "transaction_id": np.arange(rows),
            "occurred_at": pa.array(at * 1_000_000, pa.timestamp("us")),
            "customer_id": draw.integers(0, 300, rows),
            "terminal_id": draw.integers(0, 60, rows),
            "amount": amount,
            "is_fraud": draw.random(rows) < np.where(amount > 200, 0.5, 0.02),
        }
    )


def prepared(table: pa.Table, folder: Path, event_type: str = EVENT_TYPE) -> Case:
    """Transactions as a file, and a model trained on the first of them."""
    events = folder / "events.parquet"
    pq.write_table(table.slice(0, TRAINED_ON), folder / "past.parquet")
    pq.write_table(table, events)
    kind = ("--event-type", event_type)
    run_command("streamscore", "import", folder / "past.parquet", folder / "archive", *kind)
    settings = ("--set", "epochs=1", "--set", "preset=logistic")
    run_command(
        "trainer", "once", "--promote", "--archive", folder / "archive", *kind, "--store", folder / "models", *settings
    )
    return Case(events, folder / "models", folder, event_type)


def offline(case: Case) -> pa.Table:
    """The features of the file, in the order of event_id."""
    out = case.folder / "features.parquet"
    run_command("streamscore", "features", case.events, out, "--event-type", case.event_type)
    return pq.read_table(out).sort_by("event_id")


def sent(kafka: Endpoint, case: Case) -> tuple[Road, str]:
    """Everything on its topic before a worker starts: events by customer, and the labels of the frauds."""
    way, labels = road(kafka, case.store, PARTITIONS, case.event_type), kafka.new_topic(2)
    table = pq.read_table(case.events)
    produce(way, events_of(table))
    produce(way._replace(input=labels), labels_of(table))
    return way, labels


def events_of(table: pa.Table) -> Iterator[Keyed]:
    for row in table.drop_columns(["is_fraud"]).to_pylist():
        yield str(row["customer_id"]).encode(), msgspec.json.encode(row | {"occurred_at": utc(row["occurred_at"])})


def labels_of(table: pa.Table) -> Iterator[Keyed]:
    frauds = table.filter(pc.equal(table["is_fraud"].cast(pa.bool_()), True))
    known = pc.add(frauds["occurred_at"].cast(pa.timestamp("us")), WEEK).to_pylist()
    for row, labelled_at in zip(frauds.to_pylist(), known, strict=True):
        label = {
            "event_id": row["transaction_id"],
            "occurred_at": utc(row["occurred_at"]),
            "customer_id": row["customer_id"],
            "terminal_id": row["terminal_id"],
            "label": True,
            "labelled_at": utc(labelled_at),
        }
        yield str(row["customer_id"]).encode(), msgspec.json.encode(label)


def utc(at: Any) -> str:
    return f"{at.isoformat().removesuffix('+00:00')}Z"


def scored(way: Road, labels: str, case: Case, workers: int, program: Sequence[str] = PROGRAM) -> None:
    """Read the backlog with some workers, one of them killed with -9 in the middle and started again."""
    settings = {"publish_features": "all", "labels": f"{{{labels}: '{case.event_type}'}}"}
    books = Books(way)
    running = [Worker(way, case.folder / f"{way.group}-{n}.log", settings, program) for n in range(workers)]
    total = sum(books.ends().values())
    try:
        until(lambda: books.read() > total // 3, 300, "a third is scored", running[0].alive)
        running[0].kill()
        running[0] = Worker(way, case.folder / f"{way.group}-again.log", settings, program)
        books.await_all(600, running[0].alive)
    finally:
        for worker in running:
            worker.kill()
        books.close()


def restarted(kafka: Endpoint, case: Case, restarts: int) -> tuple[Road, list[str]]:
    """One worker that is killed with -9 and started again from its newest snapshot, after each part of the stream.

    The logs of all of its lives are given back.
    """
    way, labels = road(kafka, case.store, PARTITIONS, case.event_type), kafka.new_topic(2)
    table, snapshots = pq.read_table(case.events), case.folder / f"{way.group}-snapshots"
    settings = {
        "publish_features": "all",
        "labels": f"{{{labels}: '{case.event_type}'}}",
        "history.snapshots": snapshots,
        "history.snapshot_seconds": 2,
    }
    books, logs = Books(way), []
    size = table.num_rows // (restarts + 1) + 1
    for life in range(restarts + 1):
        part = table.slice(life * size, size)
        produce(way, events_of(part))
        produce(way._replace(input=labels), labels_of(part))
        worker = Worker(way, case.folder / f"{way.group}-{life}.log", settings)
        try:
            if life < restarts:
                # What is scored after a snapshot is read again by the next life.
                until(
                    lambda: books.read() > sum(books.ends().values()) - size // 2, 300, "half is scored", worker.alive
                )
                known = set(snapshots.glob("*/*/manifest.json"))
                made = partial(_made_since, snapshots, known)
                until(made, 60, "a snapshot is made", worker.alive)
            else:
                books.await_all(600, worker.alive)
        finally:
            worker.kill()
        logs.append(worker.log())
    books.close()
    return way, logs


def _made_since(snapshots: Path, known: set[Path]) -> bool:
    return bool(set(snapshots.glob("*/*/manifest.json")) - known)


def differences(way: Road, expected: pa.Table) -> dict[str, int]:
    """How many events have another number than the file, by feature; every score is looked at, repeated ones too."""
    scores = published(way)
    ids = np.array([score["event_id"] for score in scores])
    assert set(ids.tolist()) == set(expected["event_id"].to_pylist()), "events are missing"
    rows = np.searchsorted(expected["event_id"].to_numpy(), ids)
    return {name: int(wrong.sum()) for name, wrong in unequal(scores, expected, rows).items()}


def unequal(scores: Sequence[dict[str, Any]], expected: pa.Table, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Which scores have another number than rows of the file, by feature."""
    wrong = {}
    for name in expected.column_names[1:]:
        offline_ = expected[name].to_numpy(zero_copy_only=False).astype(np.float64)[rows]
        found = feature(scores, name)
        wrong[name] = ~((found == offline_) | (np.isnan(found) & np.isnan(offline_)))
    return wrong


def feature(scores: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    """A published feature, NaN where it is missing."""
    values = [score["features"][name] for score in scores]
    return np.array([np.nan if value is None else value for value in values], np.float64)


def published(way: Road) -> list[dict[str, Any]]:
    """Every score."""
    client = Consumer({"bootstrap.servers": way.bootstrap, "group.id": "features", "enable.auto.commit": False})
    topic = way.outputs["scores"]
    partitions = [TopicPartition(topic, p, 0) for p in range(PARTITIONS)]
    left = sum(client.get_watermark_offsets(p)[1] for p in partitions)
    client.assign(partitions)
    found: list[dict[str, Any]] = []
    end = time.monotonic() + 120
    while len(found) < left and time.monotonic() < end:
        found += [msgspec.json.decode(message.value() or b"") for message in client.consume(10_000, 0.2)]
    client.close()
    assert len(found) == left, f"{left - len(found)} scores could not be read"
    assert not any("duplicate" in score for score in found)
    return found


def compared(kafka: Endpoint, case: Case, workers: int, program: Sequence[str] = PROGRAM) -> dict[str, int]:
    """How many numbers differ, by feature, when so many workers read the whole backlog."""
    way, labels = sent(kafka, case)
    scored(way, labels, case, workers, program)
    return differences(way, offline(case))


def rows(kafka: Endpoint, data: Path, folder: Path) -> list[Row]:
    """Real transactions: one worker, and three, each with a kill -9 in the middle; and one that reads carelessly."""
    case, found = prepared(real(data, REAL), folder), []
    for name, workers, program, bar in (
        ("1 worker", 1, PROGRAM, "== 0"),
        ("3 workers", 3, PROGRAM, "== 0"),
        ("1 worker that reads partitions as they come", 1, CARELESS, ">= 1000"),
    ):
        wrong = compared(kafka, case, workers, program)
        print(f"  {name}: {wrong}", flush=True)
        found.append(Row(f"online = offline, {name}: numbers that differ", sum(wrong.values()), "numbers", bar))
    way, logs = restarted(kafka, case, restarts=3)
    wrong, used = differences(way, offline(case)), sum(RESTORED in log for log in logs)
    print(f"  1 worker and three restarts from snapshots: {wrong}", flush=True)
    return [
        *found,
        Row("online = offline, three restarts: numbers that differ", sum(wrong.values()), "numbers", "== 0"),
        Row("online = offline, three restarts: from a snapshot", used, "restarts", "== 3"),
    ]
