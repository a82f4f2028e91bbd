"""Several networks as one: what each learns on its own, and what the one graph of them is worth."""

from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from streamscore.core.application import APPLICATION
from streamscore.scorer import load_network
from streamscore.store import ModelStore, load
from tests.trained import QUICK, SILENT, TRAINED_AT, simulated, write_archive
from trainer.fit import fit, fit_all, logits
from trainer.network import mean_of, side_by_side
from trainer.run import Job, Source, train_once
from trainer.settings import TrainingSettings

SETTINGS = TrainingSettings(preset="dense", members=3, epochs=3, batch=64, dropout=0)


def made_up(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scaled columns, and labels that depend on two of them, with noise."""
    random = np.random.default_rng(seed)
    columns = random.normal(0, 1, (rows, 6)).astype(np.float32)
    return columns, columns[:, 0] * columns[:, 1] + random.normal(0, 1, rows) > 1


def loss(found: np.ndarray, labels: np.ndarray) -> float:
    """The mean cross-entropy of logits."""
    return float(np.mean(np.logaddexp(0, found) - labels * found))


def test_the_mean_is_worth_more_than_a_member() -> None:
    """The graph's logit is the mean of its members', which differ; its loss on new rows is below their mean loss."""
    network, (columns, labels) = fit_all(made_up(2000, 1), SETTINGS), made_up(4000, 2)
    each = [logits(layer, columns) for layer in network.layers if isinstance(layer, keras.Model)]
    found = logits(network, columns)
    assert len(each) == 3
    assert np.abs(found - np.mean(each, axis=0)).max() < 1e-5
    assert min(np.abs(each[0] - each[1]).max(), np.abs(each[1] - each[2]).max()) > 0.1
    assert loss(found, labels) < np.mean([loss(one, labels) for one in each]) - 1e-3


def test_one_member_is_the_network_itself() -> None:
    """A network of one member has no graph around it, so that what was trained before has the same weights."""
    network = side_by_side(6, SETTINGS.model_copy(update={"members": 1}))
    assert mean_of(network) is network
    assert not [layer for layer in network.layers if isinstance(layer, keras.Model)]


def test_the_best_epoch_is_that_of_the_mean() -> None:
    """With validation, each epoch is judged by the mean, and the weights kept are those of the epoch told best."""
    told: list[float] = []
    validation = made_up(1000, 5)
    network = fit(made_up(1000, 4), validation, SETTINGS, lambda epoch: told.append(epoch.average_precision))
    assert average_precision_score(validation[1], logits(network, validation[0])) == pytest.approx(max(told))


@pytest.mark.usefixtures("quick_warming")
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
