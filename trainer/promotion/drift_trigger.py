"""Drift as a reason to retrain: new mature events compared with the events that the newest bundle was trained on."""

import logging
from datetime import datetime, timedelta

from streamscore.archive.drift import Moved, drift
from streamscore.archive.read import Rows
from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.bundle import RISK, Manifest
from streamscore.errors import StreamScoreError
from streamscore.models.store import ModelStore
from trainer.metrics import TrainerMetrics

# Features named in a sentence.
NAMED = 3

# A bundle dated further ahead comes from a wrong clock. It would otherwise count as the newest until that time.
SKEW = timedelta(days=1)

log = logging.getLogger("trainer.watch")


def drifted(url: str, event_type: EventType, store: ModelStore, metrics: TrainerMetrics, now: datetime) -> str | None:
    """The reason to retrain before the schedule; empty without drift, None when the check failed.

    Only mature events after the last one of the newest bundle are compared. Drift that was already visible in the
    bundle's own test part triggers a retraining only once the PSI exceeds its earlier value plus the threshold.
    """
    try:
        version = newest_of(store, now) or next(reversed(store.versions()), None)
        if version is None:
            return ""
        newest = store.read(version).manifest
        found = drift(url, event_type, newest, Rows(until=now - event_type.maturity))
    except (StreamScoreError, MemoryError) as error:
        metrics.drift_looks.labels("failed").inc()
        log.error("drift was not checked: %s", error)
        return None
    known = _known(newest)
    for each in found.moved:
        metrics.drift.labels(each.name).set(each.psi / each.threshold)
    further = [each for each in found.moved if each.psi > each.threshold + known.get(each.name, 0.0)]
    metrics.drift_looks.labels("drift" if further else "none").inc()
    return _reason(newest, further) if further else ""


def newest_of(store: ModelStore, now: datetime) -> str | None:
    """The newest bundle, whatever its verdict; None when the store has no bundle of the past."""
    return next((v for v in reversed(store.versions()) if store.manifest(v).trained_at < now + SKEW), None)


def _known(newest: Manifest) -> dict[str, float]:
    """PSI of each feature, and of the risks, between the bundle's training and its own test part."""
    features = {name: moved["psi"] for name, moved in newest.metrics.get("drift", {}).items()}
    return features | {RISK: newest.metrics.get("stability", {}).get("validation", {}).get("psi", 0.0)}


def _reason(newest: Manifest, moved: list[Moved]) -> str:
    sentences = [
        f"{each.name} moved (PSI {each.psi:.2f}, the threshold is {each.threshold:.2f}): {each.said}"
        for each in moved[:NAMED]
    ]
    more = [f"and {len(moved) - NAMED} more"] if len(moved) > NAMED else []
    return f"events since {newest.version} are not like those that it was trained on: {'; '.join(sentences + more)}"
