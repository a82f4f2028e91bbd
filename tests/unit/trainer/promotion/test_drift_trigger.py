"""Retraining on drift: what could be learnt since is compared with the newest bundle, and the reason is told."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import DataError
from streamscore.models.store import ModelStore
from streamscore.simulator.streams import Simulated, transactions
from tests.support.trained import QUICK, ROWS, START, simulated, trained_store, write_archive
from trainer.metrics import TrainerMetrics
from trainer.promotion.drift_trigger import drifted
from trainer.watch import Watch, watch

DAY = 86_400_000_000  # µs
# After the day on which the session's model was trained; all events that follow are answered by then.
NOW = datetime.fromtimestamp(START / 1e6, UTC) + timedelta(days=160)
YEARS, HOURS = timedelta(days=3650), timedelta(hours=6)


def later(factor: float) -> Simulated:
    """Two weeks of events after those that the session's model learnt from, amounts so many times as high."""
    found = transactions(5000, START + 61 * DAY, ROWS["transaction"] / (60 * 86_400), 11)
    return replace(found, columns=found.columns | {"amount": found.columns["amount"] * factor})


def watched(tmp_path: Path, *parts: Simulated) -> Watch:
    """The session's model, and an archive of events."""
    for part in parts:
        write_archive(tmp_path / "archive", part)
    trained_store(tmp_path / "models")
    store = ModelStore(str(tmp_path / "models"), "transaction")
    settings = QUICK.model_copy(update={"preset": "logistic", "epochs": 1})
    return Watch(str(tmp_path / "archive"), TRANSACTION, store, settings, YEARS, HOURS)


def value(metrics: TrainerMetrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"streamscore_training_{name}", labels) or 0.0


def looked(what: Watch, metrics: TrainerMetrics, now: datetime = NOW) -> str | None:
    return drifted(what.url, what.event_type, what.store, metrics, now)


def test_it_retrains_once_and_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Amounts three times as high train a model years before its day; it knows them, so the next look finds none."""
    what, metrics, clock = watched(tmp_path, simulated("transaction"), later(3)), TrainerMetrics(), [NOW]
    before, waited = what.store.versions(), list[float]()

    def stopped(seconds: float) -> bool:
        waited.append(seconds)
        clock[0] += timedelta(hours=4) if len(waited) > 1 else timedelta(0)
        return len(waited) > 4

    with caplog.at_level(logging.INFO, "trainer.watch"):
        watch(what, metrics, lambda: clock[0], stopped)
    assert len(what.store.versions()) == len(before) + 1
    (said,) = [record.getMessage() for record in caplog.records if "before its day" in record.getMessage()]
    assert f"events since {before[-1]} are not like those that it was trained on: amount moved (PSI" in said
    assert "it is at least" in said
    assert (value(metrics, "drift_looks_total", found="drift"), value(metrics, "drift_looks_total", found="none")) == (
        1,
        1,
    )


def test_events_like_those_before_train_nothing(tmp_path: Path) -> None:
    """Nothing drifted, and each feature's distance is told in shares of its threshold."""
    what, metrics = watched(tmp_path, later(1)), TrainerMetrics()
    assert looked(what, metrics) == ""
    assert 0 < value(metrics, "drift", feature="amount") < 1
    assert value(metrics, "drift_looks_total", found="none") == 1


def test_what_cannot_be_learnt_yet_is_no_reason(tmp_path: Path) -> None:
    """Before the events are as old as answers take, a new model could learn nothing of them."""
    what, metrics = watched(tmp_path, later(3)), TrainerMetrics()
    first = datetime.fromtimestamp(START / 1e6, UTC) + timedelta(days=61)
    assert looked(what, metrics, first + TRANSACTION.maturity) == ""
    assert "amount moved" in (looked(what, metrics, first + TRANSACTION.maturity + timedelta(days=3)) or "")


def test_what_the_bundle_was_told_of_is_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drift that its own test part already showed does not train a model at each look."""
    what, metrics = watched(tmp_path, later(3)), TrainerMetrics()
    newest = what.store.read(what.store.versions()[-1])
    known = newest.manifest.metrics | {"drift": {n: {"psi": 9.0} for n in newest.manifest.profiles}}
    told = newest._replace(manifest=newest.manifest.model_copy(update={"metrics": known}))
    monkeypatch.setattr(ModelStore, "read", lambda *_: told)
    assert looked(what, metrics) == ""
    assert value(metrics, "drift", feature="amount") > 1


def test_challengers_are_compared_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither look holds up the other: both are due on the same turn, and one that fails is alone tried again."""
    what, metrics, looks = watched(tmp_path, later(1)), TrainerMetrics(), list[str]()
    monkeypatch.setattr("trainer.watch.challenged", lambda *_: looks.append("comparison"))
    monkeypatch.setattr("trainer.watch.followed", lambda *_: looks.append("drift"))
    turns = iter([False, False, True])
    watch(what, metrics, lambda: NOW, lambda _: next(turns))
    assert looks == ["comparison", "drift", "drift"]


def test_a_look_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted and tried again after a while; no model is trained, no alias moves."""
    what, metrics, waited = watched(tmp_path, later(3)), TrainerMetrics(), list[float]()
    before = what.store.versions(), what.store.alias("champion")

    def damaged(*_: object) -> None:
        raise DataError("events/0.parquet is not parquet, or damaged")

    def stopped(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) > 2

    monkeypatch.setattr("trainer.promotion.drift_trigger.drift", damaged)
    watch(what, metrics, lambda: NOW, stopped)
    assert waited == [0, 600, 600]
    assert value(metrics, "drift_looks_total", found="failed") == 2
    assert (what.store.versions(), what.store.alias("champion")) == before
