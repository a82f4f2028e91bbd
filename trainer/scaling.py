"""Fit the scaler: scikit-learn finds the numbers, the bundle keeps them."""

import numpy as np
from sklearn.preprocessing import RobustScaler, StandardScaler

from streamscore.core.bundle import CategoryScale, NumericScale, Scaler, scaled_width
from streamscore.core.feature import Feature, FeatureSet
from streamscore.scorer import encode

# Rows scaled at a time: 65,536 × 100 columns of float32 are 26 MB.
CHUNK = 65_536
# Rows that a scaler is fitted on are enough, evenly spaced: the rank of a quartile of so many is sure to 0.04 %
# (√(¼ · ¾ / 2²⁰)), and 100 features of them take 0.4 GB, whatever the archive holds.
FITTED = 1 << 20


def fit_scaler(features: FeatureSet, matrix: np.ndarray) -> Scaler:
    """The scaler of a training part, float32 (rows, features); nothing else may be shown to it."""
    columns = tuple(_fitted(feature, matrix[:, j]) for j, feature in enumerate(features.features))
    width = sum(scaled_width(column) for column in columns)
    unscaled = Scaler(columns=columns, baseline=(0.0,) * width)
    sums = [scaled(unscaled, matrix[i : i + CHUNK]).sum(axis=0, dtype=np.float64) for i in range(0, len(matrix), CHUNK)]
    baseline = np.sum(sums, axis=0) / len(matrix)
    return Scaler(columns=columns, baseline=tuple(round(float(value), 7) for value in baseline))


def _fitted(feature: Feature, values: np.ndarray) -> NumericScale | CategoryScale:
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
    return NumericScale(
        feature=feature.name,
        center=center,
        scale=scale,
        log_unit=scale,
        log_mean=float(standard.mean_[0]),
        log_scale=float(standard.scale_[0]),
        missing=bool(missing.any()),
    )


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
