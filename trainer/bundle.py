"""A fitted model as a bundle: its manifest, its golden rows, its network as a file."""

import hashlib
import importlib.metadata
import io
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.bundle import Calibration, Golden, Manifest, Thresholds, golden_matrix
from streamscore.core.scoring.profile import Profile, edges, histogram
from streamscore.core.scoring.scaler import Scaler
from streamscore.models.bundle_files import GOLDEN, NETWORK, SCALER
from streamscore.models.keras_scorer import KerasScorer
from trainer.data import dataset
from trainer.data.part import Part, evenly_spaced
from trainer.data.segments import fields_of, groups
from trainer.evaluation import breakdown, evaluate
from trainer.evaluation.evaluate import Answered, ScoredTest
from trainer.evaluation.thresholds import Budget, chosen, paid
from trainer.fitting.fit import logits
from trainer.fitting.presets import as_file
from trainer.settings import TrainingSettings

GOLDEN_ROWS = 32
# Rows whose values are enough to know how a feature lies.
PROFILED = 1 << 20
PACKAGES = (
    *("streamscore", "keras", "tensorflow", "tensorflow-cpu", "jax", "numpy", "scikit-learn", "pandas", "numba"),
    *("xgboost", "xgboost-cpu"),
)


class Scaled(NamedTuple):
    """What a run works on: the cleaned data, its parts, and how its columns are scaled."""

    data: dataset.Dataset
    parts: dataset.Split
    scaler: Scaler

    def part(self, rows: np.ndarray) -> Part:
        return Part(self.data.matrix, rows, self.data.labels[rows], self.scaler)


class FittedModel(NamedTuple):
    """A fitted network with all that makes it a model."""

    network: Any
    scaler: Scaler
    calibration: Calibration

    def risks(self, part: Part) -> np.ndarray:
        """Calibrated risks, float64 (rows,)."""
        logit = self.calibration.slope * logits(self.network, part) + self.calibration.intercept
        return 1 / (1 + np.exp(-logit))


def profiles(event_type: EventType, matrix: np.ndarray, bins: dict[str, Profile] | None = None) -> dict[str, Profile]:
    """How the features of rows lie, in bins of their own or in those of other profiles."""
    few = evenly_spaced(matrix, PROFILED)
    names = event_type.features.names
    return {
        name: histogram(few[:, j], bins[name].edges if bins else edges(few[:, j]))
        for j, name in enumerate(names)
        if bins is None or name in bins
    }


def scored(event_type: EventType, rows: Scaled, trained: FittedModel, settings: TrainingSettings) -> ScoredTest:
    """The risks of the test part, by the network and by the baselines."""
    train, test = rows.part(rows.parts.train), rows.part(rows.parts.test)
    budget = settings.review_rate or event_type.review_rate
    beside = evaluate.baselines(train, test, settings.seed)
    return ScoredTest(Answered(test.labels, rows.data.times[test.rows], budget), trained.risks(test), beside)


def manifest_of(
    event_type: EventType,
    rows: Scaled,
    trained: FittedModel,
    found: ScoredTest,
    settings: TrainingSettings,
    now: datetime,
) -> Manifest:
    """What the bundle says of itself; not yet how it was judged against the champion."""
    data, parts = rows.data, rows.parts
    choosing = rows.part(parts.validation)
    risks = trained.risks(choosing)
    budget = Budget(settings.review_rate or event_type.review_rate, settings.decline_rate or event_type.decline_rate)
    found_at = chosen(risks, choosing.labels, settings.thresholds, budget)
    lain = profiles(event_type, data.matrix[evenly_spaced(parts.train, PROFILED)])
    now_lain = profiles(event_type, data.matrix[evenly_spaced(parts.test, PROFILED)], lain)
    return Manifest(
        version=f"{now:%Y%m%dT%H%M%SZ}-{weights_digest(trained)[:8]}",
        event_type=event_type.name,
        features=event_type.features.names,
        calibration=trained.calibration,
        thresholds=found_at.thresholds,
        trained_at=now,
        data=_data_of(rows),
        metrics={
            **_metrics(rows, trained, found, found_at.thresholds, settings),
            "thresholds": {"by": settings.thresholds.by, "said": found_at.said, **found_at.figures},
            "drift": {name: breakdown.moved(profile, now_lain[name]) for name, profile in lain.items()},
        },
        settings=settings.model_dump(),
        packages=_installed(),
        profiles=lain,
        risks=histogram(risks, edges(risks)),
    )


def _data_of(rows: Scaled) -> dict[str, Any]:
    """What a manifest says of the rows that were learnt from, chosen by and judged on."""
    data, parts = rows.data, rows.parts
    first, last = (dataset.at(time) for time in data.times[[0, -1]])
    return {
        "split": parts.description,
        "train": len(parts.train),
        "validation": len(parts.validation),
        "test": len(parts.test),
        "between_the_parts": len(data.labels) - sum(map(len, (parts.train, parts.validation, parts.test))),
        "positives": int(data.labels.sum()),
        "positive_rate": float(data.labels[parts.train].mean()),
        "first_event": first.isoformat(),
        "last_event": last.isoformat(),
        "cleaned": data.cleaned,
        "tables": data.versions,
    }


def _metrics(
    rows: Scaled, trained: FittedModel, found: ScoredTest, at: Thresholds, settings: TrainingSettings
) -> dict[str, Any]:
    """How good it is on the test part, also by month and by group, and whether its risks moved since training."""
    (answered, risks, beside), parts = found, rows.parts
    before = {name: evenly_spaced(getattr(parts, name), PROFILED) for name in ("train", "validation")}
    by = {
        name: groups(rows.data.events, parts.test, fields_of(getattr(settings, name)))
        for name in ("segments", "fairness")
    }
    return {
        "test": evaluate.figures(answered, risks),
        "at_thresholds": evaluate.rates(risks, at, answered.labels)
        | paid(risks, answered.labels, at, settings.thresholds),
        "baselines": {name: evaluate.figures(answered, theirs) for name, theirs in beside.items()},
        "months": breakdown.months(answered, risks),
        "segments": breakdown.segments(answered, risks, by["segments"]),
        "fairness": breakdown.fairness(answered.labels, risks, at, by["fairness"]),
        "stability": {name: breakdown.stable(trained.risks(rows.part(some)), risks) for name, some in before.items()},
        "weights": weights_digest(trained),
    }


def weights_digest(trained: FittedModel) -> str:
    """The sha256 of everything learnt: equal for equal seed, data and packages."""
    learnt = hashlib.sha256(trained.scaler.model_dump_json().encode())
    for weights in trained.network.get_weights():
        learnt.update(np.ascontiguousarray(weights).tobytes())
    return learnt.hexdigest()


def _installed() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def files_of(event_type: EventType, rows: Scaled, trained: FittedModel) -> dict[str, bytes]:
    """The bundle's files beside manifest and card. Golden rows are test events, half of them positives if there are."""
    test = rows.parts.test
    positives_first = test[np.argsort(~rows.data.labels[test], kind="stable")]
    chosen = np.concatenate([positives_first[: GOLDEN_ROWS // 2], positives_first[-GOLDEN_ROWS // 2 :]])
    events = dataset.wire_events(event_type, rows.data.events.take(np.unique(chosen)))
    matrix = golden_matrix(event_type, event_type.features, events)
    scorer = KerasScorer(trained.network, trained.scaler, trained.calibration)
    return {
        NETWORK: as_file(trained.network),
        SCALER: trained.scaler.model_dump_json(indent=1).encode(),
        GOLDEN: golden_bytes(Golden(events, matrix, scorer.risks(matrix))),
    }


def golden_bytes(golden: Golden) -> bytes:
    """Golden rows as the bytes of `golden.npz`."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, events=np.array(golden.events), matrix=golden.matrix, risks=golden.risks)
    return buffer.getvalue()
