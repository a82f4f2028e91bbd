"""A challenger in shadow on Apache Kafka: its risks are its bundle's, and what it does wrong harms no output."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import golden_matrix
from streamscore.models.load import load
from streamscore.models.store import ModelStore
from tests.evidence.shadowing import RAISES, SCORES, SLEEPS, Shadowed, challenge, shadowed
from tests.integration.conftest import published
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import Books, Worker, produce, transactions, until
from trainer.bundle import golden_bytes

pytestmark = pytest.mark.kafka

EVENTS, RATE = 1500, 500
# Of the events at a trickle; a busy machine may be behind for a moment.
LEAST = 0.9


def other(store: ModelStore) -> str:
    """A challenger whose risks are not the champion's: the same network, calibrated in another way."""
    found = store.read(store.alias("champion") or "")
    calibration = found.manifest.calibration.model_copy(update={"slope": found.manifest.calibration.slope / 2})
    golden = found.golden
    logits = np.log(golden.risks.astype(np.float64)) - np.log1p(-golden.risks.astype(np.float64))
    intercept = found.manifest.calibration.intercept
    risks = 1 / (1 + np.exp(-((logits - intercept) / 2 + intercept)))
    files = found.files | {"golden.npz": golden_bytes(golden._replace(risks=risks.astype(np.float32)))}
    store.write(found.manifest.model_copy(update={"version": "other-1", "calibration": calibration}), files)
    store.point("challenger", "other-1")
    return "other-1"


def shadows(kafka: Endpoint, running: Shadowed) -> list[dict[str, Any]]:
    return [json.loads(message.value() or b"") for message in published(kafka.bootstrap, running.topic)]


def test_its_risks_are_its_bundles(kafka: Endpoint, models: Path, tmp_path: Path) -> None:
    """Beside the champion's published ones, for all events at a trickle but those counted as skipped; then archived."""
    store = ModelStore(str(models), "transaction")
    version = other(store)
    messages = transactions(EVENTS)
    with shadowed(kafka, models, tmp_path / "worker.log", SCORES) as running:
        books, url = Books(running.road), tmp_path / "archive"
        settings = {"outputs.shadow": running.topic, "archive.url": url, "archive.idle_seconds": 0.5}
        archiver = Worker(running.road, tmp_path / "archiver.log", settings, command=("archiver",))
        try:
            produce(running.road, messages, RATE)
            books.await_all(60, running.worker.alive)
            until(lambda: running.counted("scored") + running.counted("skipped") == EVENTS, 30, "all is told")
            scored = int(running.counted("scored"))
            assert scored >= LEAST * EVENTS
            until(lambda: len(shadows(kafka, running)) == scored, 30, "all is published")
            found = shadows(kafka, running)
            place = url / "transaction" / "shadow"
            until(lambda: place.exists() and DeltaTable(str(place)).count() == scored, 60, "all is archived")
            assert running.worker.terminate() == 0
        finally:
            archiver.kill()
            books.close()
    bundle = load(store, version, TRANSACTION, "cpu")
    values = [value or b"" for _, value in messages]
    offline = dict(zip([json.loads(value)["event_id"] for value in values], risks_of(bundle, values), strict=True))
    scores = {score["score_id"]: score for score in map(json.loads, values_of(kafka, running.road.outputs["scores"]))}
    assert len({shadow["score_id"] for shadow in found}) == scored
    for shadow in found:
        score = scores[shadow["score_id"]]
        assert shadow["risk"] == pytest.approx(offline[shadow["event_id"]], abs=2e-6)
        assert (shadow["champion_risk"], shadow["champion"]) == (score["risk"], score["model"])
        assert (shadow["model"], shadow["entities"]) == (version, score["entities"])
    apart = [abs(shadow["risk"] - shadow["champion_risk"]) for shadow in found]
    assert np.mean(apart) > 1e-4  # or this would compare the champion with itself


def risks_of(bundle: Any, values: list[bytes]) -> list[float]:
    """The risks of events without a history, as a file's scoring gives them."""
    return list(bundle.scorer.risks(golden_matrix(TRANSACTION, bundle.features, values)).tolist())


def values_of(kafka: Endpoint, topic: str) -> list[bytes]:
    return [message.value() or b"" for message in published(kafka.bootstrap, topic)]


@pytest.mark.parametrize("kind", [SLEEPS, RAISES])
def test_what_it_does_wrong_harms_nobody(kafka: Endpoint, models: Path, tmp_path: Path, kind: str) -> None:
    """Every event has its one score, all is committed, the worker stops as asked, and what was left out is counted."""
    challenge(ModelStore(str(models), "transaction"))
    with shadowed(kafka, models, tmp_path / "worker.log", kind) as running:
        books = Books(running.road)
        produce(running.road, transactions(20_000))
        books.await_all(60, running.worker.alive)
        until(lambda: running.counted("skipped") + running.counted("failed") > 0, 10, "what is left out is counted")
        assert (running.counted("failed") > 0) == (kind == RAISES)
        assert running.worker.terminate() == 0
        assert (books.lost(), books.duplicates(), books.uncommitted()) == (0, 0, 0)
        books.close()
        assert ("no risks for" in running.worker.log()) == (kind == RAISES)
