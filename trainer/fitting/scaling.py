"""Fit the scaler: scikit-learn finds the numbers, the bundle keeps them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from sklearn.preprocessing import RobustScaler, StandardScaler

from streamscore.core.events.feature import Feature, FeatureSet
from streamscore.core.scoring.scaler import CategoryScale, NumericScale, QuantileScale, Scale, Scaler, scaled_width
from streamscore.models.keras_scaler import encode

Kind = Literal["robust", "standard", "quantile"]

# Quantiles up to the 99th percentile, and the share of a value above which they are those of the others.
KNOTS, FREQUENT = 24, 0.2
# Rows scaled at a time: 65,536 × 100 columns of float32 are 26 MB.
CHUNK = 65_536
# Rows that a scaler is fitted on are enough, evenly spaced: the rank of a quartile of so many is sure to 0.04 %
# (√(¼ · ¾ / 2²⁰)), and 100 features of them take 0.4 GB, whatever the archive holds.
FITTED = 1 << 20


def fit_scaler(features: FeatureSet, matrix: np.ndarray, kinds: Mapping[str, Kind] = MappingProxyType({})) -> Scaler:
    """The scaler of a training part, float32 (rows, features); nothing else may be shown to it.

    `kinds` says of numeric features by name how they are scaled; robust if it does not.
    """
    columns = tuple(fit_scale(f, matrix[:, j], kinds.get(f.name, "robust")) for j, f in enumerate(features.features))
    width = sum(scaled_width(column) for column in columns)
    unscaled = Scaler(columns=columns, baseline=(0.0,) * width)
    sums = [scaled(unscaled, matrix[i : i + CHUNK]).sum(axis=0, dtype=np.float64) for i in range(0, len(matrix), CHUNK)]
    baseline = np.sum(sums, axis=0) / len(matrix)
    return Scaler(columns=columns, baseline=tuple(round(float(value), 7) for value in baseline))


def fit_scale(feature: Feature, values: np.ndarray, kind: Kind) -> Scale:
    """How one feature's values, float32 (rows,), are scaled."""
    if feature.categories:
        return CategoryScale(feature=feature.name, categories=feature.categories)
    missing = np.isnan(values)
    present = values[~missing].astype(np.float64)[:, None]
    if not len(present):
        present = np.zeros((1, 1))
    robust = RobustScaler().fit(present)
    center, scale = float(robust.center_[0]), _spread(present, float(robust.scale_[0]))
    logged = np.sign(present) * np.log(1 + np.abs(present) / scale)
    standard = StandardScaler().fit(logged)
    log: dict[str, Any] = {
        "log_unit": scale,
        "log_mean": float(standard.mean_[0]),
        "log_scale": float(standard.scale_[0]),
    }
    rest: dict[str, Any] = {"feature": feature.name, **log, "missing": bool(missing.any())}
    if kind == "quantile" and len(knots := _knots(present)) > 1:
        return QuantileScale(center=center, knots=knots, **rest)
    if kind == "standard":
        plain = StandardScaler().fit(present)
        center, scale = float(plain.mean_[0]), float(plain.scale_[0])
    return NumericScale(center=center, scale=scale, **rest)


def _knots(values: np.ndarray) -> tuple[float, ...]:
    """Quantiles of values, float64 (rows, 1); where one value is frequent, that one and the quantiles of the others.

    Most values of a count or a share are 0: the quantiles of them all would be 0 and say nothing of the rest.
    """
    found, counts = np.unique(values, return_counts=True)
    frequent = found[counts.argmax()]
    others = values[values != frequent] if counts.max() > FREQUENT * len(values) else values
    levels = [*np.linspace(0, 0.99, KNOTS), 0.995, 0.999, 1]
    edges = np.quantile(others, levels) if len(others) else found
    return tuple(np.unique(np.append(edges, frequent).astype(np.float32)).astype(float).tolist())


def _spread(values: np.ndarray, interquartile: float) -> float:
    """The interquartile range; where it is 0, as in a column that is mostly 0, half the inner range.

    scikit-learn puts 1 for a range of 0, which would leave a rare large value unscaled.
    """
    low, high = np.percentile(values, [25, 75])
    if high > low:
        return interquartile
    low, high = np.percentile(values, [0.5, 99.5])
    return float((high - low) / 2) if high > low else float(np.std(values)) or 1.0


def scaled(scaler: Scaler, matrix: np.ndarray) -> np.ndarray:
    """Scaled columns of rows that fit into memory, float32 (rows, scaled columns), by the worker's own code."""
    parts = [np.asarray(encode(matrix[i : i + CHUNK], scaler)) for i in range(0, len(matrix), CHUNK)]
    return np.concatenate(parts)
