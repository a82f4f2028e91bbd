"""What training makes small: cross-entropy, or the squared error of a linear regression."""

from typing import Any

import keras

from trainer.settings import TrainingSettings


def loss_of(settings: TrainingSettings) -> Any:
    """The Keras loss of labels and logits, both (rows, members)."""
    if settings.preset == "linear":
        return keras.losses.MeanSquaredError()
    return keras.losses.BinaryCrossentropy(from_logits=True)
