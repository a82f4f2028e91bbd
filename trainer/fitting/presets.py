"""The networks: each a function from the scaler, which says what the columns are, to a Keras model of one logit."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from streamscore.core.scoring.scaler import Scaler
from streamscore.registry import import_by_name
from trainer.fitting.embedding import in_pieces, in_waves
from trainer.settings import TrainingSettings

Network = Callable[[Scaler, TrainingSettings], Any]


def default(scaler: Scaler, settings: TrainingSettings) -> Any:
    """256-128-64 with silu and dropout: level with tuned gradient boosting on scaled columns."""
    return _plain((256, 128, 64), scaler, settings)


def dense(scaler: Scaler, settings: TrainingSettings) -> Any:
    """64-32: small and quick, for a first try or a tight budget. Smooth, so that reasons add up exactly."""
    return _plain((64, 32), scaler, settings)


def periodic(scaler: Scaler, settings: TrainingSettings) -> Any:
    """256-128-64 on waves of each scaled column: what lies in a narrow band of values is found as by boosting's splits.

    They stand beside the columns themselves. Training takes two to three times as long as the default, scoring on a
    processor up to six times.
    """
    return _beside(in_waves, scaler, settings)


def piecewise(scaler: Scaler, settings: TrainingSettings) -> Any:
    """256-128-64 on pieces of each scaled column, which are laid out when the network is fitted.

    They meet where boosted trees split the column, so that values are told apart which trees tell apart.
    """
    return _beside(in_pieces, scaler, settings)


def _beside(embedded: Callable[[Any], Any], scaler: Scaler, settings: TrainingSettings) -> Any:
    """256-128-64 on each column and, beside it, the numbers that are made of it."""
    inputs = keras.Input((len(scaler.baseline),))
    return _layered((256, 128, 64), inputs, keras.layers.Concatenate()([inputs, embedded(inputs)]), settings)


def _plain(widths: tuple[int, ...], scaler: Scaler, settings: TrainingSettings) -> Any:
    inputs = keras.Input((len(scaler.baseline),))
    return _layered(widths, inputs, inputs, settings)


def _layered(widths: tuple[int, ...], inputs: Any, x: Any, settings: TrainingSettings) -> Any:
    for units in widths:
        x = keras.layers.Dense(units, activation="silu")(x)
        x = keras.layers.Dropout(settings.dropout)(x)
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def one_layer(scaler: Scaler, _: TrainingSettings) -> Any:
    """One linear layer: the fallback that everyone can explain.

    The loss makes it a logistic or a linear regression; of the latter calibration makes the risk.
    """
    inputs = keras.Input((len(scaler.baseline),))
    return keras.Model(inputs, keras.layers.Dense(1)(inputs))


NETWORKS: Mapping[str, Network] = {
    "default": default,
    "dense": dense,
    "periodic": periodic,
    "piecewise": piecewise,
    "logistic": one_layer,
    "linear": one_layer,
}


def network_of(preset: str) -> Network:
    """The function of a preset, or a user's own by its import path; SettingsError when that is none."""
    return NETWORKS[preset] if preset in NETWORKS else import_by_name("network", preset)


def side_by_side(scaler: Scaler, settings: TrainingSettings) -> Any:
    """The members of an ensemble, each with a start of its own: one logit per member."""
    build = network_of(settings.preset)
    networks = [_penalised(build(scaler, settings), settings) for _ in range(settings.members)]
    if len(networks) == 1:
        return networks[0]
    inputs = keras.Input((len(scaler.baseline),))
    return keras.Model(inputs, keras.layers.Concatenate()([network(inputs) for network in networks]))


def _penalised(network: Any, settings: TrainingSettings) -> Any:
    """The network with a penalty on its kernels, while it is trained: its file knows of none."""
    if settings.l1 or settings.l2:
        # Each member's own loss counts as one of so many in their mean, and so must its penalty.
        penalty = keras.regularizers.L1L2(settings.l1 / settings.members, settings.l2 / settings.members)
        for weights in getattr(network, "trainable_weights", []):
            if len(weights.shape) > 1:
                weights.regularizer = penalty
    return network


def mean_of(members: Any) -> Any:
    """The network of one logit, the mean of the members': a deep ensemble (Lakshminarayanan et al., 2017) as one graph.

    It shares the members' weights.
    """
    if members.output_shape[-1] == 1:
        return members
    return keras.Model(members.input, keras.ops.mean(members.output, axis=1, keepdims=True))


def as_file(network: Any) -> bytes:
    """The bytes of a network's `.keras` file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.keras")
        # A clone has no optimiser: the worker needs none, and it is three quarters of the file.
        # Nor has it a loss: one of ours would be looked for where the file is read, and is not found even here.
        bare = keras.models.clone_model(keras.Model(network.input, network.output))
        bare.set_weights(network.get_weights())
        bare.save(path)
        return path.read_bytes()
