"""The networks: each a function from the number of scaled columns to a Keras model of one logit."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from trainer.settings import Preset, TrainingSettings


def default(width: int, settings: TrainingSettings) -> Any:
    """256-128-64 with silu and dropout: level with tuned gradient boosting on scaled columns."""
    x = inputs = keras.Input((width,))
    for units in (256, 128, 64):
        x = keras.layers.Dense(units, activation="silu")(x)
        x = keras.layers.Dropout(settings.dropout)(x)
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def dense(width: int, settings: TrainingSettings) -> Any:
    """64-32: small and quick, for a first try or a tight budget. Smooth, so that reasons add up exactly."""
    x = inputs = keras.Input((width,))
    for units in (64, 32):
        x = keras.layers.Dense(units, activation="silu")(x)
        x = keras.layers.Dropout(settings.dropout)(x)
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def logistic(width: int, _: TrainingSettings) -> Any:
    """One linear layer: the fallback that everyone can explain."""
    inputs = keras.Input((width,))
    return keras.Model(inputs, keras.layers.Dense(1)(inputs))


def side_by_side(width: int, settings: TrainingSettings) -> Any:
    """The members of an ensemble, each with a start of its own: one logit per member."""
    networks = [NETWORKS[settings.preset](width, settings) for _ in range(settings.members)]
    if len(networks) == 1:
        return networks[0]
    inputs = keras.Input((width,))
    return keras.Model(inputs, keras.layers.Concatenate()([network(inputs) for network in networks]))


def mean_of(members: Any) -> Any:
    """The network of one logit, the mean of the members': a deep ensemble (Lakshminarayanan et al., 2017) as one graph.

    It shares the members' weights.
    """
    if members.output_shape[-1] == 1:
        return members
    return keras.Model(members.input, keras.ops.mean(members.output, axis=1, keepdims=True))


NETWORKS: Mapping[Preset, Callable[[int, TrainingSettings], Any]] = {
    "default": default,
    "dense": dense,
    "logistic": logistic,
}
