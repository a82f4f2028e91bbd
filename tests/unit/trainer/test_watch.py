"""Retraining unattended, in simulated time: when it is due, what becomes of its models, and of runs that fail."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamscore.core.events.application import APPLICATION
from streamscore.core.scoring.bundle import Manifest
from streamscore.errors import BundleError, DataError, SettingsError, StoreUnreachable, StreamScoreError
from streamscore.models.bundle_files import GOLDEN, NETWORK, SCALER
from streamscore.models.store import ModelStore
from tests.support.samples import StubScorer, bundle, by_amount
from tests.support.trained import QUICK, simulated, write_archive
from trainer.cli.main import cli
from trainer.metrics import TrainerMetrics
from trainer.promotion.placement import place
from trainer.settings import GateSettings
from trainer.watch import Watch, due, retrained, watch

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
TEMPLATE = bundle(APPLICATION, StubScorer(by_amount)).manifest
# Models fitted in a second are no good ones.
LENIENT = GateSettings(lift=1, calibration=0.9, most_alert_change=1e6, positives=2, margin=0.9, promise=0)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive"), simulated("application", 2000))


@pytest.fixture
def what(archive: Path, tmp_path: Path) -> Watch:
    settings = QUICK.model_copy(update={"preset": "logistic", "epochs": 1, "gates": LENIENT})
    return Watch(str(archive), APPLICATION, ModelStore(str(tmp_path), "application"), settings, WEEK)


def value(metrics: TrainerMetrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"streamscore_training_{name}", labels) or 0.0


def kept(store: ModelStore, version: str, trained_at: datetime) -> None:
    """Add a bundle of a time, of no use otherwise."""
    manifest = TEMPLATE.model_copy(update={"version": version, "trained_at": trained_at})
    store.write(manifest, {NETWORK: b"n", SCALER: b"{}", GOLDEN: b"g"})


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


def test_a_model_is_promoted_over_whom_it_was_judged_beside_alone(
    what: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator promoted another one while it was trained: that one stays, and the sentence says so."""
    for version in ("v1", "v2", "v3"):
        kept(what.store, version, MONDAY)
    what.store.promote("v1")
    judgement = {"judgement": {"verdict": "promote", "reasons": ["every gate holds"], "champion": "v1"}}

    def trained(*_: object) -> Manifest:
        what.store.promote("v3")
        return what.store.manifest("v2").model_copy(update={"metrics": judgement})

    monkeypatch.setattr("trainer.watch.train_once", trained)
    monkeypatch.setattr("trainer.watch._record", lambda *_: None)
    caplog.set_level("INFO")
    assert retrained(what, TrainerMetrics(), MONDAY)
    assert (what.store.alias("champion"), what.store.alias("challenger")) == ("v3", "v2")
    assert "it was judged beside the champion v1, and the champion is v3 now" in caplog.text


@pytest.mark.parametrize(("promote", "verdict", "taken", "champion", "alias"), [
    (False, "promote", True, "v1", "champion"),
    (False, "promote", False, "v3", "challenger"),
    (False, "promote", True, "v3", None),
    (True, "promote", False, "v3", "champion"),
    (False, "promote", False, "v2", "champion"),
    (False, "shadow", True, "v1", None),
    (True, "reject", True, "v3", "champion"),
    (False, "reject", False, "v1", None),
])  # fmt: skip
def test_the_place_of_a_model_judged_beside_v1(
    tmp_path: Path, promote: bool, verdict: str, taken: bool, champion: str, alias: str | None
) -> None:
    """By its verdict, who is champion when it is placed, and whether a challenger waits; `promote` overrules all."""
    store = ModelStore(str(tmp_path), "application")
    judgement = {"judgement": {"verdict": verdict, "reasons": [], "champion": "v1"}}
    for version in ("v1", "v2", "v3"):
        kept(store, version, MONDAY)
    store.promote(champion)
    placed = place(store, store.manifest("v2").model_copy(update={"metrics": judgement}), promote, taken)
    assert placed.alias == alias
    assert bool(placed.why) == (verdict == "promote" and alias != "champion")
    assert store.alias("champion") == ("v2" if alias == "champion" else champion)
    assert store.alias("challenger") == ("v2" if alias == "challenger" else None)


@pytest.mark.parametrize("error", [StoreUnreachable("gone"), OSError(28, "No space left on device"), KeyError("test")])
def test_watch_lives_on(
    what: Watch, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What goes wrong in a turn is counted, said, and tried again after a while; the unexpected with its trace."""
    metrics, waited = TrainerMetrics(), list[float]()

    def fails(*_: object, **__: object) -> None:
        raise error

    def stopped(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) > 2

    for name in ("trainer.watch.due", "trainer.watch.train_once", "trainer.run.tempfile.TemporaryDirectory"):
        monkeypatch.setattr(name, fails)
        waited.clear()
        watch(what, metrics, lambda: MONDAY, stopped)
        assert waited == [0, 600, 600]
        assert str(error) in caplog.text
        assert ("Traceback" in caplog.text) == (not isinstance(error, StreamScoreError))
        monkeypatch.undo()
    assert value(metrics, "failures_total") == 6
    assert value(metrics, "running") == 0
    with what.store.alone(MONDAY):
        pass


def test_what_cannot_be_read_does_not_stop_retraining(
    what: Watch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken manifest of some old bundle is left out, with a warning, once."""
    kept(what.store, "v1", MONDAY)
    for version, content in (("old", "{"), ("odd", "[]"), ("latin", "\xff")):
        (tmp_path / "application" / version).mkdir()
        (tmp_path / "application" / version / "manifest.json").write_bytes(content.encode("latin-1"))
    assert not due(what, MONDAY + WEEK / 2)
    assert due(what, MONDAY + WEEK)
    assert caplog.text.count("a bundle is left out: old: manifest.json is not a manifest") == 1


def test_a_bundle_of_a_time_to_come_does_not_stop_retraining(what: Watch) -> None:
    """A clock that was wrong once: the newest of the others counts, or there is none."""
    kept(what.store, "v9", MONDAY + 500 * WEEK)
    assert due(what, MONDAY)
    kept(what.store, "v1", MONDAY)
    assert not due(what, MONDAY + WEEK / 2)
    assert due(what, MONDAY + WEEK)


@pytest.mark.parametrize("command", ["once", "compare"])
def test_the_commands_run_alone(what: Watch, tmp_path: Path, command: str) -> None:
    """While another run is under way they are refused, and told by whom."""
    arguments = [command, "--archive", what.url, "--event-type", "application", "--store", str(tmp_path)]
    with what.store.alone(datetime.now(UTC)):
        done = CliRunner().invoke(cli, arguments)
    assert isinstance(done.exception, BundleError)
    assert "another run has been under way for this model store since 2" in str(done.exception)
    assert f"process {os.getpid()} on " in str(done.exception)
    assert what.store.versions() == []


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    """A setting that is none ends it before anything is served."""
    arguments = ["watch", "--archive", str(tmp_path), "--event-type", "application", "--set", "gates.lift=none"]
    done = CliRunner().invoke(cli, arguments)
    assert "--set gates.lift: Input should be a valid number" in str(done.exception)


@pytest.mark.parametrize("setting", ["segments=chanel", "student=nowhere:net"])
def test_settings_that_no_run_can_have_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """Not as a failure of every run, of which nothing but the log would tell."""
    monkeypatch.setattr("trainer.watch.watch", lambda *_: None)
    arguments = ["watch", "--archive", str(tmp_path), "--event-type", "application", "--port", "0", "--set", setting]
    done = CliRunner().invoke(cli, arguments)
    assert isinstance(done.exception, SettingsError)
    assert "metrics on" not in done.stderr
