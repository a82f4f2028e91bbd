"""A network of one's own: wide and deep (Cheng et al., 2016), with one layer for each feature before they meet.

    trainer once … --set preset=examples.own_network:wide_and_deep

Keras's own layers only: a worker loads no code with a model, so any other class is refused before training.
"""

import keras

from streamscore.core.scoring.scaler import Scaler
from trainer.settings import TrainingSettings

# Numbers that each feature becomes.
UNITS = 4


def wide_and_deep(scaler: Scaler, settings: TrainingSettings) -> keras.Model:
    """The logit of a linear part and of two layers over what each feature became."""
    inputs = keras.Input((len(scaler.baseline),))
    each = [keras.layers.Dense(UNITS, activation="silu")(inputs[:, place]) for place in scaler.places.values()]
    x = keras.layers.Concatenate()(each)
    for units in (64, 32):
        x = keras.layers.Dense(units, activation="silu")(x)
        x = keras.layers.Dropout(settings.dropout)(x)
    return keras.Model(inputs, keras.layers.Add()([keras.layers.Dense(1)(inputs), keras.layers.Dense(1)(x)]))
