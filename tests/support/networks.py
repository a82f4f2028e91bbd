"""Networks and scalers made by hand, whose answers are known or only their laws."""

from typing import Any

import keras
import numpy as np

from streamscore.core.events.event_type import EventType
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.scaler import CategoryScale, NumericScale, Scaler, scaled_width
from trainer.fitting.embedding import in_pieces
from trainer.fitting.presets import NETWORKS
from trainer.settings import TrainingSettings


def scaler_of(event_type: EventType = TRANSACTION, missing: bool = True) -> Scaler:
    """A scaler of an event type with round numbers, its baseline somewhere inside."""
    columns = tuple(
        CategoryScale(feature=feature.name, categories=feature.categories)
        if feature.categories
        else NumericScale(
            feature=feature.name, center=1, scale=2, log_unit=2, log_mean=0.5, log_scale=1.5, missing=missing
        )
        for feature in event_type.features.features
    )
    width = sum(map(scaled_width, columns))
    return Scaler(columns=columns, baseline=tuple(np.linspace(0, 0.03, width).tolist()))


def network_of(preset: str, scaler: Scaler, seed: int = 3) -> Any:
    """An untrained network of a preset, with weights large enough that risks spread."""
    keras.utils.set_random_seed(seed)
    network = NETWORKS[preset](scaler, TrainingSettings(preset=preset))
    random = np.random.default_rng(seed)
    network.set_weights([w * 1.5 + random.normal(0, 0.05, w.shape) for w in network.get_weights()])
    return network


def of_pieces(scaler: Scaler, _: TrainingSettings) -> Any:
    """A network of one's own, on pieces alone: `preset=tests.support.networks:of_pieces`."""
    inputs = keras.Input((len(scaler.baseline),))
    return keras.Model(inputs, keras.layers.Dense(1)(in_pieces(inputs)))


def linear(weights: np.ndarray, bias: float) -> Any:
    """One linear layer with given weights: its logit, and the share of each column in it, are known."""
    inputs = keras.Input((len(weights),))
    layer = keras.layers.Dense(1)
    network = keras.Model(inputs, layer(inputs))
    layer.set_weights([weights[:, None].astype(np.float32), np.array([bias], np.float32)])
    return network


def rows_of(event_type: EventType, rows: int, seed: int = 5) -> np.ndarray:
    """Feature rows, float32: codes within their range, numbers over decades, some of them missing."""
    random = np.random.default_rng(seed)
    columns = [
        random.integers(0, feature.categories, rows)
        if feature.categories
        else np.where(
            random.random(rows) < 0.1, np.nan, random.normal(0, 1, rows) * 10.0 ** random.integers(-2, 5, rows)
        )
        for feature in event_type.features.features
    ]
    return np.column_stack(columns).astype(np.float32)
