"""A candidate before its gates: the champion on the same rows, the state of the data, and what the bundle costs."""

import time
from typing import Any, NamedTuple

import numpy as np

from streamscore.core.scoring.bundle import Bundle
from streamscore.errors import BundleError
from streamscore.models.load import load
from streamscore.models.store import ModelStore
from trainer.bundle import PROFILED, FittedModel, Scaled, profiles
from trainer.data.part import Part, evenly_spaced
from trainer.data.segments import fields_of, groups
from trainer.evaluation.bootstrap import blocks_of
from trainer.evaluation.thresholds import expected_alerts
from trainer.promotion.gates import Case, gates, promise, verdict
from trainer.settings import TrainingSettings

# Rows scored for parity, and the batches that are timed, so many times.
PARITY_ROWS = 4096
TIMED, TIMES = (64, 1024), 20
# Rows whose contributions are enough to rank features.
EXPLAINED = 2048


class Candidate(NamedTuple):
    """A fitted model, the same one loaded as a worker loads it, and the bytes of its bundle."""

    rows: Scaled
    trained: FittedModel
    bundle: Bundle
    size: int


class Champion(NamedTuple):
    """The model in use, or why it cannot be asked; neither where there is none."""

    bundle: Bundle | None
    unjudged: str = ""


def judged(candidate: Candidate, store: ModelStore, settings: TrainingSettings) -> dict[str, Any]:
    """The verdict, its reasons in words, the champion it was compared with, and every gate with its figures."""
    champion = _champion(store, candidate)
    found = gates(_case(candidate, champion, settings), settings.gates)
    decided, reasons = verdict(found, champion=champion != Champion(None))
    return {
        "verdict": decided,
        "reasons": reasons,
        "champion": champion.bundle.manifest.version if champion.bundle else None,
        "gates": [gate._asdict() for gate in found],
    }


def importance(candidate: Candidate) -> dict[str, float]:
    """The mean absolute contribution of each feature to the log-odds of some test rows, the largest first."""
    test, bundle = candidate.rows.parts.test, candidate.bundle
    some = candidate.rows.data.matrix[test[:: max(1, len(test) // EXPLAINED)]]
    mean = np.abs(bundle.scorer.contributions(some).values).mean(axis=0)
    return {bundle.features.names[j]: float(mean[j]) for j in np.argsort(-mean, kind="stable")}


def _champion(store: ModelStore, candidate: Candidate) -> Champion:
    version, event_type = store.alias("champion"), candidate.bundle.event_type
    if version is None:
        return Champion(None)
    try:
        return Champion(load(store, version, event_type, device="auto"))
    except BundleError as error:
        return Champion(None, f"the champion {version} cannot be compared with: {error}")


def _case(candidate: Candidate, champion: Champion, settings: TrainingSettings) -> Case:
    (data, parts, _), trained, bundle, size = candidate
    test = candidate.rows.part(parts.test)
    risks, some = trained.risks(test), data.matrix[parts.test[:PARITY_ROWS]]
    before = (champion.bundle or bundle).manifest
    bins = before.profiles or bundle.manifest.profiles
    now, features = (
        profiles(bundle.event_type, data.matrix[evenly_spaced(parts.test, PROFILED)], bins),
        bundle.features.features,
    )
    rates = [float(data.labels[part].mean()) for part in (parts.train, parts.test)]
    return Case(
        labels=test.labels,
        risks=risks,
        champion=_risks(champion.bundle, bundle, test) if champion.bundle else None,
        blocks=_blocks(candidate),
        thresholds=bundle.manifest.thresholds,
        alert_rate=expected_alerts(bundle.manifest, settings.review_rate or bundle.event_type.review_rate),
        validation_positives=int(data.labels[parts.validation].sum()),
        # A test part of a few days has no Sunday: what is made of the time alone breaks in no feed.
        profiles={f.name: (bins[f.name], now[f.name]) for f in features if f.name in now and not f.of_time_alone},
        rates=(before.data.get("positive_rate", rates[0]), rates[1]),
        segments={g.name: g.rows for g in groups(data.events, parts.test, fields_of(settings.segments))},
        parity=float(np.abs(risks[:PARITY_ROWS] - bundle.scorer.risks(some)).max(initial=0.0)),
        seconds={rows: _seconds(bundle, some, rows) for rows in TIMED},
        size=size,
        promised=promise(before.metrics) if champion.bundle else 0.0,
        unjudged=champion.unjudged,
        codes={feature.name: bundle.event_type.codes(feature) for feature in features},
        seed=settings.seed,
    )


def _risks(champion: Bundle, bundle: Bundle, test: Part) -> np.ndarray:
    """The champion's risks: it has its own list of features, of those that are declared now."""
    names = bundle.features.names
    own = [names.index(name) for name in champion.features.names]
    return np.concatenate(
        [champion.scorer.risks(np.ascontiguousarray(chunk.features()[:, own])) for chunk in test.chunks()]
    )


def _blocks(candidate: Candidate) -> np.ndarray:
    """Whose each test row is: of its first entity."""
    first = candidate.bundle.event_type.entities[0]
    column = candidate.rows.data.events.take(candidate.rows.parts.test, [first])[first]
    return blocks_of(column)


def _seconds(bundle: Bundle, matrix: np.ndarray, rows: int) -> float:
    """Seconds an event takes in a batch of so many, the median of some; one call is made before, to compile."""
    batch, found = np.resize(matrix, (rows, matrix.shape[1])), []
    for _ in range(TIMES + 1):
        start = time.perf_counter()
        bundle.scorer.risks(batch)
        found.append(time.perf_counter() - start)
    return float(np.median(found[1:])) / rows
