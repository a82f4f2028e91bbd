"""Real data, as an ML engineer would bring it: import, train, replay through Kafka, compare with the file's scores.

The public data sets are not part of the project: DATA names the folder that holds them as parquet.
"""

import os
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow.parquet as pq
from confluent_kafka import Consumer, TopicPartition

from streamscore.models.store import ModelStore
from tests.bench.rows import Row
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import Books, Road, road, run_command, worker

REPLAYED = 200_000
PARTITIONS = 4


class DataSet(NamedTuple):
    """A file of labelled events, its event type, and what the commands must be told about it."""

    pattern: str
    event_type: str
    name: str
    training: tuple[str, ...]
    options: tuple[str, ...] = ()


STRATIFIED = ("split=stratified", "batch=256")
UNTIMED = ("--occurred-at", "2026-01-01T00:00:00Z")
DATA_SETS = (
    DataSet("transactions-*.parquet", "examples.handbook:TRANSACTION", "handbook", ("epochs=3",)),
    DataSet("applications-taiwan.parquet", "examples.taiwan:APPLICATION", "taiwan", STRATIFIED, UNTIMED),
    DataSet("applications-german.parquet", "examples.german:APPLICATION", "german", STRATIFIED, UNTIMED),
)


def rows(kafka: Endpoint, folder: Path) -> list[Row]:
    """Train on each data set, then replay the transactions; SystemExit when DATA is not given."""
    data = os.environ.get("DATA")
    if not data:
        raise SystemExit("real-input needs the public data sets: make evidence ONLY=real-input DATA=folder")
    found: list[Row] = []
    for data_set in DATA_SETS:
        path = min(Path(data).glob(data_set.pattern))
        found += _trained(data_set, path, folder)
    return [*found, *_replayed(kafka, DATA_SETS[0], min(Path(data).glob(DATA_SETS[0].pattern)), folder)]


def _trained(data_set: DataSet, path: Path, folder: Path) -> list[Row]:
    archive = folder / "archive" / data_set.name
    run_command("streamscore", "import", path, archive, "--event-type", data_set.event_type, *data_set.options)
    settings = [part for value in data_set.training for part in ("--set", value)]
    kind = ("--event-type", data_set.event_type)
    run_command("trainer", "once", "--promote", "--archive", archive, *kind, "--store", folder / "real", *settings)
    store = ModelStore(str(folder / "real"), data_set.name)
    metrics = store.manifest(store.alias("champion") or "").metrics
    boosting = metrics["baselines"]["gradient boosting, untuned"]
    return [
        Row(f"{data_set.name}: AUC on its test part", metrics["test"]["auc"], "AUC"),
        Row(f"{data_set.name}: average precision on its test part", metrics["test"]["average_precision"], "AP"),
        Row(f"{data_set.name}: AUC of untuned gradient boosting there", boosting["auc"], "AUC"),
    ]


def _replayed(kafka: Endpoint, data_set: DataSet, path: Path, folder: Path) -> list[Row]:
    """Each of the replayed events scored once, with the risk that the file's own scoring gives."""
    part = folder / "replayed.parquet"
    pq.write_table(pq.read_table(path).slice(0, REPLAYED), part)
    way = road(kafka, folder / "real", PARTITIONS, data_set.event_type)
    books = Books(way)
    kind = ("--event-type", data_set.event_type)
    with worker(way, folder) as running:
        bootstrap = f"kafka.bootstrap={way.bootstrap}"
        run_command("streamscore", "replay", part, "--topic", way.input, *kind, "--set", bootstrap)
        books.await_all(300, running.alive)
        code = running.terminate()
    books.read()
    scored = folder / "scored.parquet"
    run_command("streamscore", "score", part, scored, *kind, "--set", f"models.store={folder / 'real'}")
    return [
        Row("replay: events", sum(books.ends().values()), "events", f"== {REPLAYED}"),
        Row("replay: lost", books.lost(), "events", "== 0"),
        Row("replay: duplicates", books.duplicates(), "events", "== 0"),
        Row("replay: exit code", code, "code", "== 0"),
        Row("replay: largest difference to the file's risks", _difference(way, scored), "risk", "<= 1e-6"),
    ]


def _difference(way: Road, scored: Path) -> float:
    """The largest |online risk − file's risk| over all events; infinite when the ids differ."""
    table = pq.read_table(scored, columns=["event_id", "risk"]).to_pydict()
    offline = dict(zip(table["event_id"], table["risk"], strict=True))
    online = _online_risks(way)
    if online.keys() != offline.keys():
        return float("inf")
    return float(np.max([abs(online[event_id] - offline[event_id]) for event_id in online]))


def _online_risks(way: Road) -> dict[object, float]:
    client = Consumer({"bootstrap.servers": way.bootstrap, "group.id": "risks", "enable.auto.commit": False})
    topic = way.outputs["scores"]
    left = 0
    for partition in range(PARTITIONS):
        left += client.get_watermark_offsets(TopicPartition(topic, partition))[1]
    client.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    risks: dict[object, float] = {}
    while left > 0:
        messages = client.consume(min(left, 10_000), 5)
        assert messages, f"{left} scores could not be read"
        for message in messages:
            score = msgspec.json.decode(message.value() or b"")
            risks[score["event_id"]] = score["risk"]
        left -= len(messages)
    client.close()
    return risks
