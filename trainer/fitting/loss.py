"""What training makes small: cross-entropy, or the squared error of a linear regression; weighted if asked for."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from trainer.settings import TrainingSettings

Each = Callable[[Any, Any], Any]  # from labels and logits to the loss of each


def loss_of(settings: TrainingSettings, rate: float) -> Any:
    """The Keras loss of labels, which may be shares, and logits, both (rows, members); `rate` is that of positives.

    With weights or focusing a network's logits no longer mean odds; calibration afterwards puts that right.
    """
    weight = (1 - rate) / rate if settings.positive_weight == "balanced" else settings.positive_weight
    if weight == 1 and not settings.focal_gamma:
        linear = settings.preset == "linear"
        return keras.losses.MeanSquaredError() if linear else keras.losses.BinaryCrossentropy(from_logits=True)
    each, mean_weight = _each(settings), 1 + (weight - 1) * rate

    def weighted(labels: Any, logits: Any) -> Any:
        return ops.mean(each(labels, logits) * (1 + (weight - 1) * labels), axis=-1) / mean_weight

    return weighted


def _each(settings: TrainingSettings) -> Each:
    if settings.preset == "linear":
        return lambda labels, logits: ops.square(labels - logits)
    # The focal loss (Lin et al., 2017) of gamma 0 is cross-entropy.
    return lambda labels, logits: keras.losses.binary_focal_crossentropy(
        labels[..., None], logits[..., None], gamma=settings.focal_gamma, from_logits=True
    )
