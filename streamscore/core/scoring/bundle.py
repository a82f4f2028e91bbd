"""The model artefact as a value: what was trained, on what, how it scales, and how it proves itself.

Only plain numbers and declarations are kept here; the network stays in its `.keras` file.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from pydantic import AwareDatetime, Field, model_validator

from streamscore.core.events.decode import Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import FeatureSet
from streamscore.core.events.record import END_OF_TIME, Record
from streamscore.core.history.entity_history import among_themselves
from streamscore.core.scoring.bins import Bins, bins_of
from streamscore.core.scoring.profile import Profile
from streamscore.core.scoring.scaler import FrozenModel

# float32 sums of a few hundred terms differ by about 1e-6 between devices and batch shapes.
RISK_TOLERANCE = 2e-5
# What the risks are called beside the features.
RISK = "published risk"


class Calibration(FrozenModel):
    """Platt's two numbers: the calibrated logit is slope · logit + intercept."""

    slope: float = 1.0
    intercept: float = 0.0


class Thresholds(FrozenModel):
    """Calibrated risks from which an event is reviewed and declined."""

    review: float
    decline: float

    @model_validator(mode="after")
    def _ordered(self) -> "Thresholds":
        if not 0 <= self.review <= self.decline <= 1:
            raise ValueError("thresholds must satisfy 0 <= review <= decline <= 1")
        return self


class Manifest(FrozenModel):
    """What a bundle says of itself. `files` gives the sha256 of every other file in it, `digest` that of the rest.

    `profiles` is how the values of each feature lay in the training part, `risks` how its own lay in the validation
    part, which its weights have not seen.
    """

    format: Literal[1] = 1
    version: str
    event_type: str
    features: tuple[str, ...]
    calibration: Calibration
    thresholds: Thresholds
    trained_at: AwareDatetime
    data: dict[str, Any]
    metrics: dict[str, Any]
    settings: dict[str, Any]
    packages: dict[str, str]
    profiles: dict[str, Profile] = Field(default_factory=dict)
    risks: Profile | None = None
    files: dict[str, str] = Field(default_factory=dict)
    digest: str = ""


class Contributions(NamedTuple):
    """Why risks differ from the baseline's, in logits: float64 (rows, features), and what is unexplained."""

    values: np.ndarray
    residual: np.ndarray


class Scorer(Protocol):
    """A compiled model with its scaler and calibration fused in."""

    @property
    def device(self) -> str: ...

    def risks(self, matrix: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, float32 (rows,), of a feature matrix, float32 (rows, features)."""

    def contributions(self, matrix: np.ndarray) -> Contributions:
        """The share of each feature in each row's logit, against the baseline."""


class Golden(NamedTuple):
    """Events whose features and risks were computed at training: equal again on load, or refused."""

    events: list[bytes]
    matrix: np.ndarray
    risks: np.ndarray


@dataclass(frozen=True)
class Bundle:
    """A loaded model, ready to score one event type."""

    manifest: Manifest
    event_type: EventType
    features: FeatureSet
    scorer: Scorer

    @cached_property
    def bins(self) -> Bins:
        """The bins in which what it scores is counted."""
        known = comparable(self.manifest, self.features)
        profiles = known | ({RISK: self.manifest.risks} if self.manifest.risks else {})
        return bins_of(self.manifest.version, profiles, {name: self.features.names.index(name) for name in known})


def comparable(model: Manifest, features: FeatureSet) -> dict[str, Profile]:
    """The profiles of features that can be compared with later values."""
    return {
        f.name: model.profiles[f.name] for f in features.features if f.name in model.profiles and not f.of_time_alone
    }


def golden_matrix(event_type: EventType, features: FeatureSet, events: list[bytes]) -> np.ndarray:
    """The feature matrix of golden events, computed by the road that live events take; their history is they alone."""
    records = [Record("golden", 0, i, -1, None, event, None) for i, event in enumerate(events)]
    entries = decode(event_type, records, END_OF_TIME, Limits(max_bytes=1 << 20))
    events_only = [entry.event for entry in entries if entry.event is not None]
    columns = among_themselves(event_type, event_type.columns(events_only))
    return features.matrix(columns, len(events_only))


def disagreement(bundle: Bundle, golden: Golden) -> str | None:
    """How a loaded bundle differs from what its golden rows promise; None when it keeps them."""
    matrix = golden_matrix(bundle.event_type, bundle.features, golden.events)
    if not len(golden.events) or len(golden.risks) != len(golden.events):
        return "it has no golden rows, or risks for others"
    if matrix.shape != golden.matrix.shape:
        return f"{len(golden.events) - len(matrix)} golden events are no longer valid events"
    equal = (matrix == golden.matrix) | (np.isnan(matrix) & np.isnan(golden.matrix))
    if not equal.all():
        changed = [name for name, column in zip(bundle.features.names, equal.T, strict=True) if not column.all()]
        return f"features {changed} no longer give the numbers the model was trained on"
    distance = float(np.max(np.abs(bundle.scorer.risks(matrix) - golden.risks), initial=0.0))
    if not distance <= RISK_TOLERANCE:
        return f"golden risks differ by {distance:.2g}, {RISK_TOLERANCE:g} allowed"
    return None
