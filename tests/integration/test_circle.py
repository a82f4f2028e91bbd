"""The whole circle: events are scored and archived, a model is trained on the archive, and workers score with it."""

from pathlib import Path

import msgspec
import pytest
from deltalake import DeltaTable

from streamscore.models.store import ModelStore
from tests.evidence import online
from tests.integration.conftest import published
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import Books, Worker, produce, road, run_command, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS, DAYS = 9_000, 18
# A model fitted in seconds is not a good one.
GATES = (
    "gates.positives=10",
    "gates.promise=0",
    "gates.calibration=0.9",
    "gates.margin=0.9",
    "gates.most_alert_change=1e6",
    "gap_days=0",
)


def rows(url: Path, name: str) -> int:
    """How many rows an archive's table holds."""
    place = url / "windowed" / name
    return DeltaTable(str(place)).to_pyarrow_dataset().count_rows() if place.exists() else 0


def ids(url: Path, name: str) -> set[int]:
    """The customers of an archive's table."""
    table = DeltaTable(str(url / "windowed" / name)).to_pyarrow_table(columns=["customer_id"])
    return set(table["customer_id"].to_pylist())


def test_from_events_to_a_new_champion(kafka: Endpoint, tmp_path: Path) -> None:
    """A worker that starts on the archive gives the file's numbers, and takes over what was trained on the archive.

    Archive and history know customers and terminals by pseudonyms alone, and the trainer has no key.
    """
    table = online.made(EVENTS, DAYS)
    case, half = online.prepared(table, tmp_path), EVENTS // 2
    store = ModelStore(str(case.store), "windowed")
    way, labels = road(kafka, case.store, online.PARTITIONS, online.EVENT_TYPE), kafka.new_topic(2)
    url, books = tmp_path / "tables", Books(way)
    settings = {
        "publish_features": "all",
        "labels": f"{{{labels}: '{online.EVENT_TYPE}'}}",
        "archive.url": url,
        "archive.idle_seconds": 0.5,
        "pseudonyms.key": "a key that only this test has",
    }
    running = [
        Worker(way, tmp_path / "first.log", settings),
        Worker(way, tmp_path / "archiver.log", settings, command=("archiver",)),
    ]
    try:
        produce(way, online.events_of(table.slice(0, half)))
        produce(way._replace(input=labels), online.labels_of(table.slice(0, half)))
        books.await_all(120, running[0].alive)
        until(lambda: rows(url, "events") == rows(url, "scores") == half, 60, "all is archived", running[1].alive)
        for name in ("events", "scores"):
            customers = set(table["customer_id"].to_pylist()[:half])
            assert len(ids(url, name)) == len(customers)
            assert not ids(url, name) & customers
        running[0].kill()
        running[0] = Worker(way, tmp_path / "second.log", settings)
        running[0].await_ready()
        assert f"{half} events are restored of the archive" in running[0].log()
        (before,) = store.versions()
        given = [
            part
            for gate in ("preset=logistic", "epochs=6", "batch=32", "learning_rate=0.02", *GATES)
            for part in ("--set", gate)
        ]
        run_command(
            "trainer", "once", "--archive", url, "--event-type", online.EVENT_TYPE, "--store", case.store, *given
        )
        after = store.alias("champion")
        assert after not in (before, None), store.manifest(store.versions()[-1]).metrics["judgement"]["reasons"]
        assert store.manifest(after or "").data["tables"].keys() == {"events", "labels"}
        until(lambda: f"is now {after}" in running[0].log(), 60, "the worker takes over", running[0].alive)
        # On the topic before a worker starts, because what comes live may come late in another partition.
        running[0].kill()
        produce(way, online.events_of(table.slice(half)))
        produce(way._replace(input=labels), online.labels_of(table.slice(half)))
        running[0] = Worker(way, tmp_path / "third.log", settings)
        books.await_all(120, running[0].alive)
    finally:
        for process in running:
            process.kill()
        books.close()
    wrong = online.differences(way, online.offline(case))
    assert not any(wrong.values()), wrong
    scores = [
        msgspec.json.decode(message.value() or b"") for message in published(way.bootstrap, way.outputs["scores"])
    ]
    assert {score["model"] for score in scores if score["event_id"] >= half} == {after}
    assert before in {score["model"] for score in scores}
