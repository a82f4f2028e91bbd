"""A user's own network: what it may be, what it is worth, and what is refused before it is trained."""

import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from streamscore.core.scoring.bundle import Calibration
from streamscore.core.scoring.scaler import Scaler
from streamscore.errors import SettingsError
from streamscore.models.keras_scorer import KerasScorer
from tests.support.learnable import auc, lesson
from tests.support.networks import scaler_of
from trainer.cli.options import parsed
from trainer.fitting.fit import logits
from trainer.fitting.presets import as_file, network_of
from trainer.fitting.user_network import check, read_back
from trainer.settings import TrainingSettings

EXAMPLE = "examples.own_network:wide_and_deep"
SCALER = scaler_of()
WIDTH = len(SCALER.baseline)


def test_the_example_learns_and_is_served() -> None:
    """The example finds what two numbers mean together, which one layer cannot, and reads back as it was fitted."""
    given = lesson()
    check(given.train.scaler, TrainingSettings(preset=EXAMPLE))
    own, plain = given.fitted(preset=EXAMPLE, members=2), given.fitted(preset="logistic")
    assert auc(own, given.test) > auc(plain, given.test) + 0.1
    matrix = np.random.default_rng(3).normal(0, 1, (16, 4)).astype(np.float32)
    risks = [
        KerasScorer(network, given.train.scaler, Calibration()).risks(matrix)
        for network in (own, read_back(as_file(own)))
    ]
    assert np.abs(risks[0] - risks[1]).max() <= 2e-5


def test_linear_regression_ranks_like_logistic() -> None:
    """Least squares makes another network than cross-entropy, bounded by the labels, that ranks about as well."""
    given = lesson()
    least, logistic = (given.fitted(preset=name, learning_rate=0.02, epochs=12) for name in ("linear", "logistic"))
    assert abs(auc(least, given.test) - auc(logistic, given.test)) < 0.04
    label = logits(least, given.train)
    assert label.mean() == pytest.approx(given.train.labels.mean(), abs=0.02)
    assert ((label > -0.5) & (label < 1)).mean() > 0.98


@keras.saving.register_keras_serializable("tests")
class Own(keras.layers.Dense):  # type: ignore[misc]
    """A layer that the trainer's process knows and a worker does not."""


def lambda_layer(x: Any) -> Any:
    return keras.layers.Dense(1)(keras.layers.Lambda(lambda y: y)(x))


def own_layer(x: Any) -> Any:
    return Own(1)(x)


def two_logits(x: Any) -> Any:
    return keras.layers.Dense(2)(x)


def mixing(x: Any) -> Any:
    return keras.layers.Dense(1)(x - keras.ops.mean(x, axis=0, keepdims=True))


def infinite(x: Any) -> Any:
    return keras.layers.Dense(1)(keras.ops.log(-keras.ops.square(x)))


def failing(x: Any) -> Any:
    raise KeyError("amount")


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (lambda_layer, "is not of Keras's own layers alone"),
        (own_layer, "is not of Keras's own layers alone"),
        (two_logits, rf"maps \(None, {WIDTH}\) to \(None, 2\), needed is \(None, {WIDTH}\) to \(None, 1\)"),
        (mixing, "gives a row other risks when it is read back, or beside other rows"),
        (infinite, "gives numbers that are not finite"),
        (failing, "cannot be built: KeyError: 'amount'"),
    ],
)
def test_what_no_worker_could_serve(layers: Callable[[Any], Any], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker could not load, or would score otherwise, is refused in a sentence that names it."""

    def build(scaler: Scaler, _: TrainingSettings) -> Any:
        inputs = keras.Input((len(scaler.baseline),))
        return keras.Model(inputs, layers(inputs))

    monkeypatch.setattr("trainer.fitting.presets.import_by_name", lambda *_: build)
    with pytest.raises(SettingsError, match=f"^network own:build {said}"):
        check(SCALER, TrainingSettings(preset="own:build"))


def named(scaler: Scaler, _: TrainingSettings) -> keras.Model:
    """A network with a name of its own."""
    inputs = keras.Input((len(scaler.baseline),))
    return keras.Model(inputs, keras.layers.Dense(1)(inputs), name="mine")


def test_what_several_or_pieces_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of one name cannot stand beside each other, and pieces are split by XGBoost: both are told before a fit."""
    check(SCALER, TrainingSettings(preset=f"{__name__}:named"))
    with pytest.raises(SettingsError, match=r"named cannot be built: ValueError: The name \"mine\" is used 2 times"):
        check(SCALER, TrainingSettings(preset=f"{__name__}:named", members=2))
    pieces = TrainingSettings(preset="tests.support.networks:of_pieces", members=2)
    check(SCALER, pieces)
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(SettingsError, match="xgboost is not installed"):
        check(SCALER, pieces)


def test_what_is_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is neither preset nor import path, a path to nothing, and a function of something else are told."""
    with pytest.raises(SettingsError, match=r"^--set preset: forest is none of default, .* nor a module:function"):
        parsed(("preset=forest",))
    with pytest.raises(SettingsError, match=r"^network nowhere:at_all cannot be imported: ModuleNotFoundError"):
        network_of("nowhere:at_all")
    monkeypatch.setattr("trainer.fitting.presets.import_by_name", lambda *_: lambda *_: 3)
    with pytest.raises(SettingsError, match=r"^network own:three is a int, not a keras.Model"):
        check(SCALER, TrainingSettings(preset="own:three"))
