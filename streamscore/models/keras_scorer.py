"""The Keras model as a scorer: scaler, network and calibration in one compiled call per batch shape.

The same code runs on the TensorFlow and the JAX backend (`KERAS_BACKEND`); only compiling and
taking a gradient differ. `model.predict` is never used: it costs 33 ms a call whatever the batch.
"""

import tempfile
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from streamscore.core.scoring.batch import SHAPES, call_shapes
from streamscore.core.scoring.bundle import Calibration, Contributions
from streamscore.core.scoring.scaler import Scaler
from streamscore.errors import BundleError, SettingsError, first_line
from streamscore.models.attribution import EXPLAINED_ROWS, halves, integrated
from streamscore.models.bundle_files import NETWORK, BundleFiles
from streamscore.models.keras_scaler import encode

Compiled = Callable[[np.ndarray], Any]


@lru_cache(maxsize=2)
def encoder(scaler: Scaler) -> Compiled:
    """`encode` compiled: float32 (rows, features) to (rows, scaled columns), once per number of rows it is given."""
    return _compiled(lambda matrix: encode(matrix, scaler), nullcontext)


class KerasScorer:
    """A `Scorer` over a network that takes scaled columns and gives one logit per row.

    Every shape is compiled by `warm`, so nothing is traced or compiled while events wait.
    """

    def __init__(self, network: Any, scaler: Scaler, calibration: Calibration, device: str = "auto") -> None:
        self.device, self._place = _placed(device)
        self._width = len(scaler.columns)
        self._owners = np.eye(self._width)[scaler.owners]  # (scaled columns, features)
        baseline = np.array(scaler.baseline, np.float32)

        in_two = halves(network)

        def logits(scaled: Any) -> Any:
            return calibration.slope * network(scaled, training=False)[:, 0] + calibration.intercept

        def risks(matrix: Any) -> Any:
            return ops.sigmoid(logits(encode(matrix, scaler)))

        def explained(matrix: Any) -> tuple[Any, Any]:
            scaled = encode(matrix, scaler)
            # The difference is of the network that gives the risks, so that a wrong cut would show as a residual.
            difference = logits(scaled) - logits(baseline[None, :])
            return calibration.slope * integrated(in_two, scaled, baseline), difference

        self._risks, self._explain = _compiled(risks, self._place), _compiled(explained, self._place)

    def warm(self) -> None:
        """Compile every batch shape and the explanation."""
        for shape in SHAPES:
            self.risks(np.zeros((shape, self._width), np.float32))
        self.contributions(np.zeros((1, self._width), np.float32))

    def risks(self, matrix: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, float32 (rows,)."""
        parts, start = [np.empty(0, np.float32)], 0
        for shape in call_shapes(len(matrix)):
            parts.append(np.asarray(self._risks(_padded(matrix[start : start + shape], shape))))
            start += shape
        return np.concatenate(parts)[: len(matrix)]

    def contributions(self, matrix: np.ndarray) -> Contributions:
        """Integrated gradients against the baseline (streamscore/attribution.py), per feature.

        The path is straight in scaled columns, or in the numbers made of them, where a category's change is gradual; a
        feature's contribution is the sum over its columns. Contributions and residual add up to the logit's difference
        from the baseline's.
        """
        parts = [self._explained(matrix[i : i + EXPLAINED_ROWS]) for i in range(0, len(matrix), EXPLAINED_ROWS)]
        values = np.concatenate([values for values, _ in parts]) if parts else np.empty((0, self._width))
        difference = np.concatenate([difference for _, difference in parts]) if parts else np.empty(0)
        return Contributions(values, difference - values.sum(axis=1))

    def _explained(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, difference = self._explain(_padded(matrix, EXPLAINED_ROWS))
        rows = len(matrix)
        return np.asarray(values, np.float64)[:rows] @ self._owners, np.asarray(difference, np.float64)[:rows]


def load_network(path: str) -> Any:
    """The network of a `.keras` file, without optimiser and without running code from the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return keras.saving.load_model(path, compile=False, safe_mode=True)


def _padded(matrix: np.ndarray, rows: int) -> np.ndarray:
    if len(matrix) == rows:
        return matrix
    padded = np.zeros((rows, matrix.shape[1]), np.float32)
    padded[: len(matrix)] = matrix
    return padded


def _compiled(function: Callable[[Any], Any], place: Callable[[], Any]) -> Compiled:
    """The function compiled by XLA, once per shape it is called with."""
    if keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415  only the backend in use is installed

        compiled = jax.jit(function)

        def call(matrix: np.ndarray) -> Any:
            with place():
                return compiled(matrix)

        return call
    return _compiled_by_tensorflow(function, place)


def _compiled_by_tensorflow(function: Callable[[Any], Any], place: Callable[[], Any]) -> Compiled:
    import tensorflow as tf  # noqa: PLC0415  only the backend in use is installed

    # Keras' own operations need no rewriting of Python, which takes a quarter of the time of a load.
    traced = tf.function(function, jit_compile=True, autograph=False)
    # By shape: finding the one that fits takes tf.function as long as the model itself takes at a trickle.
    known: dict[tuple[int, ...], Any] = {}

    def call(matrix: np.ndarray) -> Any:
        with place():
            concrete = known.get(matrix.shape)
            if concrete is None:
                concrete = known[matrix.shape] = traced.get_concrete_function(tf.TensorSpec(matrix.shape, tf.float32))
            return concrete(tf.constant(matrix))

    return call


def _placed(device: str) -> tuple[str, Callable[[], Any]]:
    """The device's name for log and metric, and the scope in which to compute."""
    gpus = gpu_names()
    if device == "gpu" and not gpus:
        raise SettingsError(f"device: gpu is set, but Keras on {keras.backend.backend()} sees no GPU here")
    chosen = "cpu" if device == "cpu" or not gpus else "gpu"
    name = f"gpu ({gpus[0]})" if chosen == "gpu" else "cpu"
    return f"{name}, {keras.backend.backend()}", lambda: keras.device(f"{chosen}:0")


def gpu_names() -> list[str]:
    """The GPUs that the Keras backend can use."""
    if keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415  only the backend in use is installed

        return [str(found.device_kind) for found in jax.devices() if found.platform == "gpu"]
    import tensorflow as tf  # noqa: PLC0415  only the backend in use is installed

    found = tf.config.list_physical_devices("GPU")
    return [str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)) for gpu in found]


def scorer_of(files: BundleFiles, device: str) -> KerasScorer:
    """The warmed scorer of a bundle's files; BundleError when network and scaler are not a model together."""
    manifest, scaler = files.manifest, files.scaler
    if tuple(column.feature for column in scaler.columns) != manifest.features:
        raise BundleError(f"{manifest.version}: scaler and manifest name different features")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, NETWORK)
        path.write_bytes(files.files[NETWORK])
        try:
            network = load_network(str(path))
        except Exception as error:  # Keras raises whatever the file made it stumble over
            raise BundleError(f"{manifest.version}: {NETWORK} cannot be loaded: {first_line(error)}") from error
    if network.input_shape != (None, len(scaler.baseline)) or network.output_shape != (None, 1):
        raise BundleError(f"{manifest.version}: {NETWORK} maps {network.input_shape} to {network.output_shape}")
    scorer = KerasScorer(network, scaler, manifest.calibration, device)
    scorer.warm()
    return scorer
