"""Retraining unattended, in simulated time: when it is due, what becomes of its models, and of runs that fail."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamscore.core.application import APPLICATION
from streamscore.errors import DataError, StoreUnreachable
from streamscore.store import ModelStore
from tests.trained import QUICK, one_shape, simulated, write_archive
from trainer.__main__ import cli
from trainer.metrics import TrainerMetrics
from trainer.settings import GateSettings
from trainer.watch import Watch, due, retrained, watch

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
# Models fitted in a second are no good ones.
LENIENT = GateSettings(lift=1, calibration=0.9, most_alert_change=1e6, positives=2, margin=0.9, promise=0)


@pytest.fixture(scope="module", autouse=True)
def quick_warming() -> Iterator[None]:
    with one_shape():
        yield


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive"), simulated("application", 2000))


@pytest.fixture
def what(archive: Path, tmp_path: Path) -> Watch:
    settings = QUICK.model_copy(update={"preset": "logistic", "epochs": 1, "gates": LENIENT})
    return Watch(str(archive), APPLICATION, ModelStore(str(tmp_path), "application"), settings, WEEK)


def value(metrics: TrainerMetrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"streamscore_training_{name}", labels) or 0.0


def test_it_trains_when_a_week_has_passed(what: Watch) -> None:
    """It trains when nothing is there, again when a week has passed, not before; the metrics say what became of it."""
    metrics, clock = TrainerMetrics(), [MONDAY]
    waited: list[float] = []

    def stopped(seconds: float) -> bool:
        waited.append(seconds)
        clock[0] += timedelta(days=3)
        return len(waited) > 6

    watch(what, metrics, lambda: clock[0], stopped)
    trained = [what.store.manifest(version).trained_at for version in what.store.versions()]
    assert [(at - MONDAY).days for at in trained] == [3, 12]
    assert what.store.alias("champion") == what.store.versions()[-1]
    assert what.store.alias("previous") == what.store.versions()[0]
    assert value(metrics, "verdicts_total", verdict="promote") == 2
    assert value(metrics, "rows", part="train") > 1000
    assert value(metrics, "last_success_seconds") == trained[-1].timestamp()
    assert value(metrics, "running") == 0


def test_a_rejected_model_takes_no_place(what: Watch) -> None:
    """It stays in the store with its reasons; the champion stays, and the next run waits for its day."""
    metrics = TrainerMetrics()
    first = retrained(what, metrics, MONDAY)
    strict = what._replace(settings=what.settings.model_copy(update={"gates": GateSettings(lift=1000)}))
    second = retrained(strict, metrics, MONDAY + WEEK)
    assert first
    assert second
    assert second.metrics["judgement"]["verdict"] == "reject"
    assert "1000 times is the least" in " ".join(second.metrics["judgement"]["reasons"])
    assert what.store.alias("champion") == second.metrics["judgement"]["champion"] == first.version
    assert what.store.alias("challenger") is None
    assert value(metrics, "verdicts_total", verdict="reject") == 1
    assert not due(what, MONDAY + WEEK + timedelta(days=6))
    assert due(what, MONDAY + 2 * WEEK)


def test_a_run_that_fails_leaves_everything_as_it_was(what: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bundle, no alias, no lock; it is counted and tried again after a while, not at once."""
    metrics, waited = TrainerMetrics(), list[float]()

    def damaged(*_: object) -> None:
        raise DataError("events/0.parquet is not parquet, or damaged")

    def stopped(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) > 2

    monkeypatch.setattr("trainer.run.dataset.read", damaged)
    watch(what, metrics, lambda: MONDAY, stopped)
    assert waited == [0, 600, 600]
    assert value(metrics, "failures_total") == 2
    assert (what.store.versions(), what.store.alias("champion")) == ([], None)
    with what.store.alone(MONDAY):
        pass


def test_one_at_a_time(what: Watch) -> None:
    """While one trains, another does not; one that was killed is forgotten after some hours."""
    metrics = TrainerMetrics()
    with what.store.alone(MONDAY):
        assert retrained(what, metrics, MONDAY + timedelta(hours=1)) is None
        assert value(metrics, "failures_total") == 1
        with what.store.alone(MONDAY + timedelta(hours=4)):
            pass
    with what.store.alone(MONDAY):
        pass


def test_a_store_that_does_not_answer(what: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is due that could not be written; it is asked again."""

    def gone(_: ModelStore) -> list[str]:
        raise StoreUnreachable("the model store cannot be read: gone")

    monkeypatch.setattr(ModelStore, "versions", gone)
    assert not due(what, MONDAY)


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    """A setting that is none ends it before anything is served."""
    arguments = ["watch", "--archive", str(tmp_path), "--event-type", "application", "--set", "gates.lift=none"]
    done = CliRunner().invoke(cli, arguments)
    assert "--set gates.lift: Input should be a valid number" in str(done.exception)
