"""A training run: repeatable, honest about its parts, and better than no model."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.scaler import NumericScale
from streamscore.errors import BundleError, DataError, SettingsError
from streamscore.models.bundle_files import CARD
from streamscore.models.store import ModelStore
from tests.support.trained import QUICK, SILENT, TRAINED_AT, champion, simulated, trained_manifest, write_archive
from trainer.cli.main import cli
from trainer.cli.options import parsed
from trainer.data import dataset
from trainer.data.part import Part
from trainer.evaluation.evaluate import doubt
from trainer.fitting.fit import BestEpoch, calibrate, fit, logits
from trainer.fitting.scaling import fit_scaler
from trainer.promotion.placement import Placed, place
from trainer.run import Job, Source, train_once
from trainer.settings import TrainingSettings

SMALL = simulated("application", 2000)
JUDGED: dict[str, Any] = {"verdict": "promote", "reasons": ["every gate holds"], "champion": None, "gates": []}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 2,000 applications."""
    return write_archive(tmp_path_factory.mktemp("archive"), SMALL)


@pytest.fixture(scope="module")
def parts(small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """Rows to train on and to choose by."""
    data = dataset.read(str(small), APPLICATION, tmp_path_factory.mktemp("work"))
    cut = dataset.split(data, APPLICATION, QUICK)
    scaler = fit_scaler(APPLICATION.features, data.matrix[cut.train])
    return tuple(Part(data.matrix, rows, data.labels[rows], scaler) for rows in (cut.train, cut.validation))


def fitted(parts: tuple[Any, ...], preset: str, seed: int = 0, **more: Any) -> Any:
    settings = TrainingSettings(preset=preset, epochs=2, batch=64, seed=seed, **more)
    train, validation = parts
    return fit(train, validation, settings, lambda _: None)


def test_another_seed_gives_other_weights(parts: tuple[Any, ...]) -> None:
    """The seed decides the weights."""
    one, other = (fitted(parts, "logistic", seed).get_weights() for seed in (4, 5))
    assert not np.array_equal(one[0], other[0])


def test_same_archive_same_model(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs learn the same weights to the last bit and judge them the same; the scaler sees one part only."""
    seen: list[int] = []

    def spied(features: Any, matrix: np.ndarray, kinds: Any) -> Any:
        seen.append(len(matrix))
        return fit_scaler(features, matrix, kinds)

    monkeypatch.setattr("trainer.fitting.scaler_choice.fit_scaler", spied)
    settings = QUICK.model_copy(update={"preset": "logistic", "epochs": 1})
    stores = [ModelStore(str(tmp_path / name), "application") for name in ("a", "b")]
    first, second = (
        train_once(Source(str(small)), Job(APPLICATION, store, settings, TRAINED_AT + timedelta(days=day)), SILENT)
        for day, store in enumerate(stores)
    )
    assert len(first.metrics["weights"]) == 64
    assert first.thresholds == second.thresholds
    assert first.version != second.version
    data = first.data
    assert seen == [data["train"], data["train"]]
    left_out = data["between_the_parts"] + data["cleaned"]["without_a_mature_label"]
    assert data["train"] + data["validation"] + data["test"] + left_out == 2000
    judgements = [manifest.metrics.pop("judgement") for manifest in (first, second)]
    assert first.metrics == second.metrics
    for judgement in judgements:  # but for the time an event takes, and for the names of layers in the file
        judgement["gates"] = [gate for gate in judgement["gates"] if gate["name"] not in ("latency", "size")]
    assert judgements[0] == judgements[1]
    card = stores[0].read(first.version).files[CARD].decode()
    assert f"{data['train']:,} to train" in card
    assert "Split by time: validation from" in card
    assert first.settings["seed"] == 0
    assert judgements[0]["champion"] is None
    assert stores[0].alias("champion") is None
    assert (
        place(stores[0], first.model_copy(update={"metrics": {"judgement": judgements[0]}}), True).alias == "champion"
    )


def test_a_fit_that_runs_away(parts: tuple[Any, ...]) -> None:
    """A rate at which the numbers become infinite ends the run with the setting to change."""
    with pytest.raises(SettingsError, match=r"the fit failed in epoch 1, .* lower learning_rate"):
        fitted(parts, "dense", learning_rate=1e30)


@pytest.mark.parametrize(
    "value",
    ["seed=99999999999", "learning_rate=inf", "learning_rate=nan", "weight_decay=inf", "batch=99999999999999999999"],
)
def test_training_settings_out_of_bounds(value: str) -> None:
    """A number that no run can be told is refused with its setting."""
    with pytest.raises(SettingsError, match=f"^--set {value.partition('=')[0]}: "):
        parsed((value,))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("epoch=3", "--set epoch: there is no such setting; did you mean epochs?"),
        ("gates.positive=3", "--set gates.positive: there is no such setting; did you mean gates.positives?"),
        ("thresholds.x=3", "--set thresholds.x: there is no such setting; there are by, "),
    ],
)
def test_a_setting_that_is_none(value: str, said: str) -> None:
    """It is named with the one that was probably meant, or with those that there are beside it."""
    with pytest.raises(SettingsError, match=re.escape(said)):
        parsed((value,))


@pytest.mark.parametrize(
    ("own", "best", "said"),
    [(0.5, 0.4, None), (0.3, 0.4, "0.3000, is below that of boosting, 0.4000$"),
     (0.15, 0.12, "0.1500, is below twice the base rate, 0.1000$"),
     (0.05, 0.4, "below that of boosting, 0.4000 and below twice the base rate, 0.1000$")],
)  # fmt: skip
def test_doubts_are_told(own: float, best: float, said: str | None) -> None:
    """A model that a baseline beats, or that is hardly better than chance, is told as such."""
    beside = {"base rate": {"average_precision": 0.1}, "boosting": {"average_precision": best}}
    found = doubt({"test": {"average_precision": own}, "baselines": beside})
    assert found is None if said is None else re.search(said, found or "")


def test_once_tells_its_doubts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says of a weak model that it is one, on standard error, and still succeeds."""
    weak = trained_manifest("transaction").model_copy(deep=True)
    weak.metrics["test"]["average_precision"] = 0.0
    monkeypatch.setattr("trainer.training.train_once", lambda *_: weak)
    monkeypatch.setattr("trainer.training.place", lambda *_: Placed("champion"))
    arguments = ["once", "--archive", str(tmp_path), "--event-type", "transaction", "--store", str(tmp_path)]
    done = CliRunner().invoke(cli, arguments)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.splitlines()[-1].startswith("think twice before this model decides anything: its average")


@pytest.mark.parametrize("preset", ["default", "dense", "periodic", "piecewise", "logistic", "linear"])
def test_every_preset_trains(parts: tuple[Any, ...], preset: str) -> None:
    """Each preset learns: on what it was trained on it ranks far better than chance."""
    labels = parts[0].labels
    found = logits(fitted(parts, preset, learning_rate=0.02), parts[0])
    assert found.shape == labels.shape
    positive, negative = found[labels], found[~labels]
    assert (positive[:, None] > negative[None, :]).mean() > 0.65


def test_the_best_epoch_is_kept(parts: tuple[Any, ...]) -> None:
    """Of several epochs the weights of the best on validation are kept, and each epoch is told."""
    told: list[Any] = []
    train, validation = parts
    network = fit(train, validation, TrainingSettings(preset="logistic", epochs=3, batch=128), told.append)
    assert [(epoch.number, epoch.epochs) for epoch in told] == [(1, 3), (2, 3), (3, 3)]
    assert told[-1].seconds_left == 0
    judge = BestEpoch(network, parts[1], TrainingSettings(epochs=1), told.append)
    judge.on_epoch_end(0, {"loss": 0.0})
    assert told[-1].average_precision == pytest.approx(max(epoch.average_precision for epoch in told[:3]))


def test_calibration_keeps_the_ranking() -> None:
    """Calibration is increasing, also for a model that ranks the wrong way round, and puts the mean right."""
    random = np.random.default_rng(0)
    raw = random.normal(0, 2, 4000)
    labels = random.random(4000) < 1 / (1 + np.exp(-(raw - 1)))
    for given in (raw, -raw):
        found = calibrate(given, labels)
        assert found.slope > 0
    right = calibrate(raw * 3, labels)
    risks = 1 / (1 + np.exp(-(right.slope * raw * 3 + right.intercept)))
    assert right.slope == pytest.approx(1 / 3, abs=0.05)
    assert risks.mean() == pytest.approx(labels.mean(), abs=0.002)


def test_scaler_sees_the_training_part_only(parts: tuple[Any, ...]) -> None:
    """The scaler's numbers are those of the rows it is given: other rows change nothing."""
    features = APPLICATION.features
    matrix = np.random.default_rng(1).lognormal(3, 1, (600, len(features.features))).astype(np.float32)
    matrix[:, [j for j, f in enumerate(features.features) if f.categories]] = 1
    wild = np.vstack([matrix, matrix[:200] * 1e6])
    assert fit_scaler(features, wild[:600]) == fit_scaler(features, matrix) != fit_scaler(features, wild)
    first = fit_scaler(features, matrix).columns[0]
    assert isinstance(first, NumericScale)
    assert first.center == pytest.approx(np.median(matrix[:, 0]), rel=1e-6)
    assert not first.missing
    matrix[5, 0] = np.nan
    again = fit_scaler(features, matrix).columns[0]
    assert isinstance(again, NumericScale)
    assert again.missing


def test_a_store_that_cannot_be_read_is_told_first(tmp_path: Path) -> None:
    """A store that is a file ends a run before the archive is read."""
    (tmp_path / "file").write_text("x")
    store = ModelStore(str(tmp_path / "file"), "application")
    with pytest.raises(BundleError, match="the model store cannot be read"):
        train_once(Source(str(tmp_path)), Job(APPLICATION, store, QUICK, TRAINED_AT), SILENT)


def test_a_store_that_cannot_be_written(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that takes no bundle is told in a sentence."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = ModelStore(str(tmp_path), "application")
    monkeypatch.setattr(store, "write", full)
    monkeypatch.setattr("trainer.run.loaded", lambda *_, **__: champion("application"))
    monkeypatch.setattr("trainer.run.judged", lambda *_: JUDGED)
    settings = QUICK.model_copy(update={"preset": "logistic", "epochs": 1})
    with pytest.raises(BundleError, match="the model store cannot be written: No space left on device"):
        train_once(Source(str(small)), Job(APPLICATION, store, settings, TRAINED_AT), SILENT)


def test_few_positives(tmp_path: Path) -> None:
    """An archive with too few of one kind in a part is refused, and the part is named."""
    archive, work = write_archive(tmp_path / "archive", simulated("transaction", 1000)), tmp_path / "work"
    work.mkdir()
    with pytest.raises(DataError, match=r"the \w+ part has \d positives in \d+ events; both kinds need 10"):
        dataset.split(dataset.read(str(archive), TRANSACTION, work), TRANSACTION, QUICK)


@pytest.mark.parametrize("name", ["transaction", "application"])
def test_trained_models_are_of_use(name: str) -> None:
    """The quickly trained models rank far better than the base rate, and not far from a logistic regression."""
    metrics = trained_manifest(name).metrics
    test, beside = metrics["test"], metrics["baselines"]
    assert beside["base rate"]["auc"] == 0.5
    assert test["auc"] > 0.7
    assert test["average_precision"] > 1.5 * beside["base rate"]["average_precision"]
    assert test["auc"] > beside["logistic regression"]["auc"] - 0.05
    assert test["ece"] < 0.1


@pytest.mark.parametrize(("name", "event_type"), [("transaction", TRANSACTION), ("application", APPLICATION)])
def test_thresholds_keep_the_budget(name: str, event_type: Any) -> None:
    """The shares of alerts and declines on the test part are near what the event type allows."""
    found = trained_manifest(name).metrics["at_thresholds"]
    assert 0 < found["alerted"] < 3 * event_type.review_rate
    assert found["declined"] <= found["alerted"]
