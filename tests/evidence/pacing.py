"""Live pacing: events sent as they happened, only faster; what was scored before an older event came is told.

Kafka keeps no order between partitions, so an event may come after a younger one was scored. It is counted as
late, and the younger one's numbers are without it. No other number may differ from those of the file.
"""

import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.rows import Row
from tests.evidence import online
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import Books, Road, Worker, produce, road, run_command

# Events, of about twelve days; event time by the clock's; how late events are sent at most, in seconds of event time.
EVENTS, SPEED, LATE = 110_000, 4320, 600
ENTITIES = ("customer_id", "terminal_id")
COUNTED = re.compile(r'^streamscore_history_rows_total\{.*what="late"\} (\S+)$', re.MULTILINE)


class Verdict(NamedTuple):
    """Scores, those with another number than the file, and those of these that no late event explains.

    `late` is how many events came after a younger one was scored, by the order of scores; `counted` by the worker.
    """

    events: int
    different: int
    unexplained: int
    late: int
    counted: int


class Scored(NamedTuple):
    """Scores as columns, in the order of the batches in which they were made."""

    batch: np.ndarray
    at: np.ndarray
    ids: np.ndarray
    entities: np.ndarray


def shuffled(table: pa.Table, seconds: float, seed: int = 3) -> pa.Table:
    """Rows in the order in which they are sent, each up to so many seconds of event time late."""
    at = table["occurred_at"].to_numpy().astype("datetime64[us]").astype(np.int64)
    sent = at + np.random.default_rng(seed).integers(0, int(seconds * 1e6) + 1, len(at))
    return table.take(np.argsort(sent, kind="stable"))


def judged(kafka: Endpoint, case: online.Case, sent: pa.Table, speed: float) -> Verdict:
    """What becomes of a case's events, sent in the order of a table."""
    file = case.folder / "sent.parquet"
    pq.write_table(sent, file)
    way, counted = paced(kafka, case._replace(events=file), speed)
    return verdict(way, online.offline(case), counted)


def paced(kafka: Endpoint, case: online.Case, speed: float) -> tuple[Road, int]:
    """Labels first, which count from their own time on; then the events through `streamscore replay`, to one worker.

    Also how many events the worker counted as late.
    """
    way, labels = road(kafka, case.store, online.PARTITIONS, case.event_type), kafka.new_topic(2)
    produce(way._replace(input=labels), online.labels_of(pq.read_table(case.events)))
    settings = {"publish_features": "all", "labels": f"{{{labels}: '{case.event_type}'}}"}
    worker, books = Worker(way, case.folder / f"{way.group}.log", settings), Books(way)
    try:
        worker.await_ready()
        where = ("--topic", way.input, "--set", f"kafka.bootstrap={way.bootstrap}")
        kind = ("--event-type", case.event_type)
        run_command("streamscore", "replay", case.events, *kind, "--speed", speed, *where)
        books.await_all(120, worker.alive)
        time.sleep(2)  # the metrics of history are set about once a second
        late = COUNTED.search(worker.get("/metrics")[1])
        assert late, worker.get("/metrics")[1]
        return way, round(float(late[1]))
    finally:
        worker.kill()
        books.close()


def verdict(way: Road, expected: pa.Table, counted: int) -> Verdict:
    """Look at every score: does it differ, and was an older event of one of its entities late?"""
    scores = sorted(online.published(way), key=lambda score: score["scored_at"])
    found = columns(scores)
    assert set(found.ids.tolist()) == set(expected["event_id"].to_pylist()), "events are missing"
    wrong = online.unequal(scores, expected, np.searchsorted(expected["event_id"].to_numpy(), found.ids))
    different = np.flatnonzero(np.logical_or.reduce(list(wrong.values())))
    newest = np.maximum.accumulate(found.at)
    before = np.searchsorted(found.batch, found.batch)  # the first of the same batch
    late = found.at < np.where(before > 0, newest[before - 1], 0)
    unexplained = sum(not explained(found, late, int(row)) for row in different)
    return Verdict(len(scores), len(different), unexplained, int(late.sum()), counted)


def columns(scores: list[dict[str, Any]]) -> Scored:
    """Scores as columns."""
    times = [[score[name].removesuffix("Z") for score in scores] for name in ("scored_at", "occurred_at")]
    batch, at = (np.array(values, "datetime64[us]").astype(np.int64) for values in times)
    entities = [[score["entities"][name] for name in ENTITIES] for score in scores]
    return Scored(batch, at, np.array([score["event_id"] for score in scores]), np.array(entities))


def explained(found: Scored, late: np.ndarray, row: int) -> bool:
    """Whether an older event of one of a score's entities was late, and scored after it."""
    kin = (found.entities == found.entities[row]).any(axis=1)
    return bool((late & kin & (found.at <= found.at[row]) & (found.batch > found.batch[row])).any())


def rows(kafka: Endpoint, data: Path, folder: Path) -> list[Row]:
    """Twelve days of real transactions in four minutes, as they are, and with each sent up to some minutes late."""
    table, found = online.real(data, EVENTS), []
    case = online.prepared(table, folder)
    for how, sent in (("as they are", table), (f"sent up to {LATE} s late", shuffled(table, LATE))):
        told = judged(kafka, case, sent, SPEED)
        print(f"  {how}: {told}", flush=True)
        name = f"live pacing, {how}"
        found += [
            Row(f"{name}: events", told.events, "events", f">= {EVENTS}"),
            Row(f"{name}: counted as late", told.counted, "events"),
            Row(f"{name}: late by the order of scores, not counted", told.late - told.counted, "events", "== 0"),
            Row(f"{name}: events with another number than the file", told.different, "events"),
            Row(f"{name}: of these, without a late event of their entities", told.unexplained, "events", "== 0"),
        ]
    return found
