"""A user's own network, looked at before it is trained: a worker must be able to load, compile and explain it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from streamscore.core.scoring.bundle import RISK_TOLERANCE, Calibration
from streamscore.core.scoring.scaler import Scaler
from streamscore.errors import SettingsError, first_line
from streamscore.models.keras_scaler import encode
from streamscore.models.keras_scorer import KerasScorer, load_network
from trainer.fitting.boosting import needed
from trainer.fitting.embedding import has_pieces
from trainer.fitting.presets import NETWORKS, as_file, side_by_side
from trainer.settings import TrainingSettings

ROWS = 16


def check(scaler: Scaler, settings: TrainingSettings) -> None:
    """Nothing for a preset; SettingsError that says why a worker could not serve what an import path builds."""
    student = settings.model_copy(update={"preset": settings.student, "members": 1})
    for own in (settings, student):
        if own.preset and own.preset not in NETWORKS:
            _check(scaler, own)


def _check(scaler: Scaler, own: TrainingSettings) -> None:
    name, network = own.preset, _built(scaler, own.model_copy(update={"members": 1}))
    if not isinstance(network, keras.Model):
        raise SettingsError(f"network {name} is a {type(network).__name__}, not a keras.Model")
    shapes, asked = (network.input_shape, network.output_shape), ((None, len(scaler.baseline)), (None, 1))
    if shapes != asked:
        raise SettingsError(f"network {name} maps {shapes[0]} to {shapes[1]}, needed is {asked[0]} to {asked[1]}")
    if has_pieces(network):
        needed("xgboost")
    if own.members > 1:
        _built(scaler, own)  # two of one name cannot stand beside each other
    _serve(name, network, scaler)


def _built(scaler: Scaler, own: TrainingSettings) -> Any:
    try:
        return side_by_side(scaler, own)
    except SettingsError:
        raise
    except Exception as error:  # a user's function may fail in any way
        raise SettingsError(f"network {own.preset} cannot be built: {_named(error)}") from error


def _serve(name: str, network: Any, scaler: Scaler) -> None:
    matrix = np.random.default_rng(0).normal(0, 1, (ROWS, len(scaler.columns))).astype(np.float32)
    try:
        with _strangers():
            scorer = KerasScorer(read_back(as_file(network)), scaler, Calibration())
    except Exception as error:  # Keras raises whatever a class made it stumble over
        raise SettingsError(
            f"network {name} is not of Keras's own layers alone, and a worker loads no other: {_named(error)}"
        ) from error
    try:
        risks, alone = scorer.risks(matrix), scorer.risks(matrix[-1:])[0]
        reasons = scorer.contributions(matrix[:1])
    except Exception as error:  # so does XLA
        raise SettingsError(f"network {name} cannot be compiled, or has no gradient: {_named(error)}") from error
    if not (np.isfinite(risks).all() and np.isfinite(reasons.values).all()):
        raise SettingsError(f"network {name} gives numbers that are not finite")
    fitted = np.asarray(keras.ops.sigmoid(network(encode(matrix, scaler), training=False)))[:, 0]
    if np.abs(risks - fitted).max() > RISK_TOLERANCE or abs(risks[-1] - alone) > RISK_TOLERANCE:
        raise SettingsError(f"network {name} gives a row other risks when it is read back, or beside other rows")


@contextmanager
def _strangers() -> Iterator[None]:
    """While it lasts Keras knows nobody's classes but its own, like a worker that never imported the user's module."""
    registered = keras.saving.get_custom_objects()
    kept = dict(registered)
    registered.clear()
    try:
        yield
    finally:
        registered.update(kept)


def read_back(content: bytes) -> Any:
    """The network of a `.keras` file's bytes, as a worker loads it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.keras")
        path.write_bytes(content)
        return load_network(str(path))


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
