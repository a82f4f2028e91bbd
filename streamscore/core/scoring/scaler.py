"""How features become the network's columns: plain numbers, fitted on the training part only."""

from itertools import pairwise

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class NumericScale(FrozenModel):
    """How a numeric feature is scaled: two columns, and a third flag where it can be missing.

    (x − center) / scale, smoothly clipped; and sign(x) · log(1 + |x| / log_unit), standardised.
    A missing value takes the center.
    """

    feature: str
    center: float
    scale: float
    log_unit: float
    log_mean: float
    log_scale: float
    missing: bool


class QuantileScale(FrozenModel):
    """A numeric feature whose first column is its place among knots, from −√3 to √3, instead of a clipped multiple.

    The knots are rising values of the training part, equally far apart in the column; the rest is as in `NumericScale`.
    """

    feature: str
    center: float
    knots: tuple[float, ...]
    log_unit: float
    log_mean: float
    log_scale: float
    missing: bool

    @model_validator(mode="after")
    def _rising(self) -> "QuantileScale":
        if len(self.knots) < 2 or any(low >= high for low, high in pairwise(self.knots)):
            raise ValueError(f"the knots of {self.feature} are fewer than two, or do not rise")
        return self


class CategoryScale(FrozenModel):
    """A categorical feature: one column per code, the one that holds is 1."""

    feature: str
    categories: int


Scale = NumericScale | QuantileScale | CategoryScale


class Scaler(FrozenModel):
    """The persisted scaler: fitted on the training part only, kept as numbers.

    `baseline` is the typical event in scaled columns; reasons are told against it.
    """

    columns: tuple[Scale, ...]
    baseline: tuple[float, ...]

    @model_validator(mode="after")
    def _fits(self) -> "Scaler":
        if len(self.baseline) != len(self.owners):
            raise ValueError(f"the baseline has {len(self.baseline)} columns, the scaler {len(self.owners)}")
        return self

    @property
    def owners(self) -> np.ndarray:
        """int64 (scaled columns,): the index of the feature that each scaled column comes from."""
        return np.repeat(np.arange(len(self.columns)), [scaled_width(column) for column in self.columns])

    @property
    def places(self) -> dict[str, slice]:
        """The scaled columns of each feature, by its name."""
        ends = np.cumsum([scaled_width(column) for column in self.columns]).tolist()
        return {c.feature: slice(end - scaled_width(c), end) for c, end in zip(self.columns, ends, strict=True)}


def scaled_width(column: Scale) -> int:
    """How many scaled columns a feature becomes."""
    return column.categories if isinstance(column, CategoryScale) else 2 + column.missing
