"""A fit that reads its rows from disk, some at a time: each once, in an order of its seed, and never all of them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from streamscore.core.events.application import APPLICATION
from streamscore.core.scoring.scaler import CategoryScale, Scaler
from streamscore.models.store import ModelStore
from tests.evidence import large
from tests.support.paths import ROOT
from tests.support.trained import SILENT, TRAINED_AT, simulated, write_archive
from trainer.data import part as parts
from trainer.data.part import POOL, RUN, Part, evenly_spaced, shuffled, whole
from trainer.data.row_store import RowWriter
from trainer.fitting.fit import fit, fit_all, logits
from trainer.fitting.steps import steps
from trainer.run import Job, Source, train_once
from trainer.settings import TrainingSettings

# Column 0 names the row, column 1 is what a network can learn.
CODED = Scaler(
    columns=(CategoryScale(feature="row", categories=1), CategoryScale(feature="kind", categories=4)),
    baseline=(0.0,) * 5,
)


def rows(count: int) -> Part:
    kind = np.arange(count) % 4
    return whole(np.stack([np.arange(count), kind], axis=1).astype(np.float32), kind == 3, CODED)


@pytest.mark.parametrize("count", [0, 1, RUN - 1, RUN + 1, 5000, POOL + 100, 3 * POOL - 1])
def test_each_row_once_an_epoch(count: int) -> None:
    """An epoch's order holds every position once, whatever does not divide, and another seed gives another."""
    order = shuffled(count, np.random.default_rng(1))
    assert np.array_equal(np.sort(order), np.arange(count))
    assert np.array_equal(order, shuffled(count, np.random.default_rng(1)))
    assert count < 2 or not np.array_equal(order, shuffled(count, np.random.default_rng(2)))


def test_a_batch_holds_rows_of_every_time() -> None:
    """Of a part larger than a pool, any batch spreads over the whole, and neighbours are rarely together."""
    count = 4 * POOL
    order = shuffled(count, np.random.default_rng(0)).astype(np.int64)
    for start in range(0, count, count // 8):
        batch = order[start : start + 1024]
        assert np.histogram(batch, 8, (0, count))[0].min() > 1024 / 8 / 2
        assert len(np.unique(batch // RUN)) > 500
    few = shuffled(POOL, np.random.default_rng(0)).astype(np.int64)
    assert (np.abs(np.diff(few)) < RUN).mean() < 0.01


@pytest.mark.parametrize(("count", "batch"), [(1000, 64), (1000, 300), (20, 64), (1, 64), (1024, 1024), (300, 290)])
def test_what_a_network_is_shown(count: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each epoch shows every row once with its own label; batches are full, but for the last."""
    shown: list[tuple[np.ndarray, np.ndarray]] = []

    def unlearnt(members: Any) -> Any:
        members.optimizer.build(members.trainable_variables)
        return lambda columns, labels, _: shown.append((columns, labels))

    monkeypatch.setattr(parts, "encoder", lambda _: lambda matrix: matrix)
    monkeypatch.setattr("trainer.fitting.fit.steps", unlearnt)
    for module in ("data.part", "fitting.fit"):
        monkeypatch.setattr(f"trainer.{module}.CHUNK", 256)
    fit_all(rows(count), TrainingSettings(preset="logistic", epochs=2, batch=batch, members=2))
    columns, labels = (np.concatenate(arrays) for arrays in zip(*shown, strict=True))
    assert labels.shape == (2 * count, 2)
    assert np.array_equal(labels, np.repeat((columns[:, 1:] == 3).astype(np.float32), 2, axis=1))
    seen = columns[:, 0]
    assert np.array_equal(np.sort(seen[:count]), np.sort(seen[count:]))
    assert np.array_equal(np.sort(seen[:count]), np.arange(count))
    assert count < 50 or not np.array_equal(seen[:count], seen[count:])
    ragged = [len(block) % batch for block, _ in shown if len(block) % batch]
    assert ragged == [count % batch] * 2 * bool(count % batch)


@pytest.mark.parametrize("count", [70, 64, 5])
def test_steps_are_those_of_keras(count: int) -> None:
    """Compiled together, steps change averaged weights, moments and loss as Keras' own `fit` does in the same order."""
    random = np.random.default_rng(0)
    columns, answers = random.normal(size=(count, 5)).astype(np.float32), random.random((count, 1)).astype(np.float32)
    found = []
    for together in (True, False):
        keras.utils.set_random_seed(3)
        network = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "silu"), keras.layers.Dense(1)])
        network.compile(keras.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.5), "mse")
        if together:
            steps(network)(columns, answers, 32)
            loss = float(network.get_metrics_result()["loss"])
        else:
            loss = network.fit(columns, answers, batch_size=32, shuffle=False, verbose=0).history["loss"][0]
        found.append([loss, *map(np.asarray, network.optimizer.variables)])
    for ours, keras_own in zip(*found, strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=2e-5, atol=1e-6)


JAX = """
from tests.unit.trainer.data.test_streamed_fit import learnt
from tests.unit.trainer.data.test_streamed_fit import test_steps_are_those_of_keras as steps_are_those_of_keras
steps_are_those_of_keras(70)
learnt(times=1)
"""


def learnt(times: int = 2) -> None:
    """The same seed gives the same weights each time, and they have learnt which kind is positive."""
    settings = TrainingSettings(preset="dense", epochs=6, batch=64, learning_rate=0.02, members=2)
    networks = [fit(rows(3001), rows(400), settings, lambda _: None) for _ in range(times)]
    for weights in zip(*(network.get_weights() for network in networks), strict=True):
        assert all(np.array_equal(weights[0], other) for other in weights[1:])
    found, labels = logits(networks[0], rows(1000)), rows(1000).labels
    assert found[labels].min() > found[~labels].max()


def test_a_seed_and_what_it_learns() -> None:
    """A streamed fit repeats to the last bit, and learns."""
    learnt()


def test_steps_on_jax() -> None:
    """On the JAX backend too, steps are Keras' own, and a fit learns."""
    pytest.importorskip("jax")
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", JAX]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(("count", "most"), [(0, 10), (10, 10), (11, 10), (999, 10), (1000, 1)])
def test_few_are_spread_evenly(count: int, most: int) -> None:
    """At most so many rows, with even gaps from the first on."""
    found = evenly_spaced(np.arange(count), most)
    assert len(found) <= most
    assert count > most or len(found) == count
    assert len(np.unique(np.diff(found))) <= 1


class Watched(np.ndarray):
    """A matrix that notes how many of its rows are taken at a time."""

    most = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(self.base, np.memmap):
            Watched.most = max(Watched.most, len(found))
        return np.asarray(found)


def test_a_training_never_holds_all_rows(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the archive to the report, and beside a champion, only so many rows are taken at a time as are set."""
    read, most = RowWriter.read, 300
    monkeypatch.setattr(RowWriter, "read", lambda self: (read(self)[0], read(self)[1].view(Watched)))
    for name in (
        "data.part.CHUNK",
        "fitting.fit.CHUNK",
        "fitting.fit.JUDGING",
        "run.FITTED",
        "run.LOOKED_AT",
        "evaluation.evaluate.COMPARED",
        "promotion.judge.PARITY_ROWS",
    ):
        monkeypatch.setattr(f"trainer.{name}", most)
    for module in ("bundle", "promotion.judge"):
        monkeypatch.setattr(f"trainer.{module}.PROFILED", most)
    monkeypatch.setattr("trainer.promotion.judge.EXPLAINED", most // 2)
    archive, store = (
        write_archive(tmp_path / "a", simulated("application", 4000)),
        ModelStore(str(models), "application"),
    )
    taught = {"scaler": "auto", "student": "logistic"}
    settings = TrainingSettings(preset="logistic", gap_days=0, epochs=2, batch=64, **taught)
    manifest = train_once(Source(str(archive)), Job(APPLICATION, store, settings, TRAINED_AT), SILENT)
    assert manifest.data["train"] > 2000
    assert manifest.metrics["judgement"]["champion"] == store.alias("champion")
    assert 0 < Watched.most <= most


def test_the_long_form_in_short(tmp_path: Path) -> None:
    """What `make evidence ONLY=large` measures, on few events: every row of the parts is learnt from and told."""
    fit = large.trained(large.archived(tmp_path / "archive", 20_000), tmp_path / "models")
    store = ModelStore(str(tmp_path / "models"), "transaction")
    manifest = store.manifest(store.alias("champion") or "")
    assert fit.rows == manifest.data["train"]
    assert manifest.data["positives"] > 100
    assert fit.seconds > 0
    assert 0.1 < fit.peak < 16
