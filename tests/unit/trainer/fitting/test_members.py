"""Several networks as one: what each learns on its own, and what the one graph of them is worth."""

from pathlib import Path

import keras
import numpy as np
import pytest

from streamscore.core.events.application import APPLICATION
from streamscore.models.keras_scorer import load_network
from streamscore.models.load import load
from streamscore.models.store import ModelStore
from tests.support.learnable import NUMBERS, features, precision
from tests.support.trained import QUICK, SILENT, TRAINED_AT, simulated, write_archive
from trainer.data.part import Part, whole
from trainer.fitting.fit import fit, fit_all, logits
from trainer.fitting.presets import mean_of, side_by_side
from trainer.fitting.scaling import fit_scaler
from trainer.run import Job, Source, train_once
from trainer.settings import TrainingSettings

SETTINGS = TrainingSettings(preset="dense", members=3, epochs=3, batch=64, dropout=0)


def made_up(rows: int, seed: int) -> Part:
    """Rows whose labels depend on two columns together, with noise."""
    random = np.random.default_rng(seed)
    matrix = random.normal(0, 1, (rows, NUMBERS)).astype(np.float32)
    return whole(matrix, matrix[:, 0] * matrix[:, 1] + random.normal(0, 1, rows) > 1, fit_scaler(features(), matrix))


def loss(found: np.ndarray, labels: np.ndarray) -> float:
    """The mean cross-entropy of logits."""
    return float(np.mean(np.logaddexp(0, found) - labels * found))


def test_the_mean_is_worth_more_than_a_member() -> None:
    """The graph's logit is the mean of its members', which differ; its loss on new rows is below their mean loss."""
    train = made_up(2000, 1)
    network, test = fit_all(train, SETTINGS), made_up(4000, 2)._replace(scaler=train.scaler)
    each = [logits(layer, test) for layer in network.layers if isinstance(layer, keras.Model)]
    found, labels = logits(network, test), test.labels
    assert len(each) == 3
    assert np.abs(found - np.mean(each, axis=0)).max() < 1e-5
    assert min(np.abs(each[0] - each[1]).max(), np.abs(each[1] - each[2]).max()) > 0.1
    assert loss(found, labels) < np.mean([loss(one, labels) for one in each]) - 5e-4


def test_one_member_is_the_network_itself() -> None:
    """A network of one member has no graph around it, so that what was trained before has the same weights."""
    network = side_by_side(made_up(100, 1).scaler, SETTINGS.model_copy(update={"members": 1}))
    assert mean_of(network) is network
    assert not [layer for layer in network.layers if isinstance(layer, keras.Model)]


def test_the_best_epoch_is_that_of_the_mean() -> None:
    """With validation, each epoch is judged by the mean, and the weights kept are those of the epoch told best."""
    told: list[float] = []
    train = made_up(1000, 4)
    validation = made_up(1000, 5)._replace(scaler=train.scaler)
    network = fit(train, validation, SETTINGS, lambda epoch: told.append(epoch.average_precision))
    assert precision(network, validation) == pytest.approx(max(told))


def test_a_bundle_of_members(tmp_path: Path) -> None:
    """Members are in a bundle as one network with one logit, which loads and keeps its golden rows' promise."""
    archive = write_archive(tmp_path / "archive", simulated("application", 2000))
    store = ModelStore(str(tmp_path), "application")
    settings = QUICK.model_copy(update={"members": 2, "epochs": 1})
    version = train_once(Source(str(archive)), Job(APPLICATION, store, settings, TRAINED_AT), SILENT).version
    assert load(store, version, APPLICATION, "auto").manifest.settings["members"] == 2
    (tmp_path / "network.keras").write_bytes(store.read(version).files["model.keras"])
    network = load_network(str(tmp_path / "network.keras"))
    assert network.output_shape == (None, 1)
    assert sum(isinstance(layer, keras.Model) for layer in network.layers) == 2
