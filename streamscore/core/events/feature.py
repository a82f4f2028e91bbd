"""A feature is a named function from an event's columns to one float32 column.

Worker and trainer call the same function over the same columns; there is no second definition.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from streamscore.core.events.field import Columns

ColumnFunction = Callable[..., np.ndarray]

# No feature is larger: float32 squares overflow beyond 1.8e19, and what is huge is clipped anyway.
LARGEST = 1e15


@dataclass(frozen=True)
class Feature:
    """One number per event, or NaN where the event does not say.

    `fields` names the columns that `function` takes, in its order: so what a feature can see is
    declared, and a feature of a protected field is known to be one. `categories` is the number of
    codes (UNKNOWN included) of a categorical feature and 0 for a numeric one. `reason` says in
    words what raised the risk, `otherwise` what did where the feature is 0; `{value}` in them stands
    for the feature's value. To the reason of one field's category, that value is added in words.
    """

    name: str
    fields: tuple[str, ...]
    function: ColumnFunction
    reason: str
    categories: int = 0
    otherwise: str = ""

    @property
    def of_time_alone(self) -> bool:
        """Whether it is made of the time alone: then it moves with the range that is looked at, not with the world."""
        return self.fields == ("occurred_at",)


@dataclass(frozen=True)
class FeatureSet:
    """The ordered features of an event type or of a model."""

    features: tuple[Feature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    def select(self, names: Sequence[str]) -> "FeatureSet":
        """The features a model was trained on, in its order; KeyError names one that is unknown."""
        by_name = {feature.name: feature for feature in self.features}
        return FeatureSet(tuple(by_name[name] for name in names))

    def values(self, columns: Columns) -> dict[str, np.ndarray]:
        """Each feature's numbers as its function gives them, before the matrix makes float32 of them."""
        return {f.name: f.function(*(columns[name] for name in f.fields)) for f in self.features}

    def matrix(self, columns: Columns, rows: int) -> np.ndarray:
        """float32 (rows, features), one column per feature."""
        matrix = np.empty((rows, len(self.features)), np.float32)
        for j, values in enumerate(self.values(columns).values()):
            np.clip(values, -LARGEST, LARGEST, out=matrix[:, j], casting="unsafe")
        return matrix


def as_is(values: np.ndarray) -> np.ndarray:
    """A number or a category's code, unchanged."""
    return values


def log1p(values: np.ndarray) -> np.ndarray:
    """log(1 + x): amounts span five decades, and a network sees ratios better than differences."""
    return np.log1p(values)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator; NaN, not infinity, where there is nothing to divide by."""
    with np.errstate(over="ignore"):  # beyond float64 is infinite, and clipped like all that is huge
        return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0)


def hour_of_day(occurred_at: np.ndarray) -> np.ndarray:
    """Hours since midnight UTC, 0 ≤ hour < 24, with fractions; occurred_at in microseconds."""
    return (occurred_at % DAY) / HOUR


def is_weekend(occurred_at: np.ndarray) -> np.ndarray:
    """1.0 on Saturday and Sunday (UTC); 1970-01-01 was a Thursday, day 3 of a week from Monday."""
    return ((occurred_at // DAY + 3) % 7 >= 5).astype(np.float64)


def is_night(occurred_at: np.ndarray) -> np.ndarray:
    """1.0 from midnight to 06:59 UTC."""
    return (hour_of_day(occurred_at) < 7).astype(np.float64)


def is_missing(values: np.ndarray) -> np.ndarray:
    """1.0 where an optional number was not given."""
    return np.isnan(values).astype(np.float64)


HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR
