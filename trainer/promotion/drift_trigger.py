"""Whether what could be learnt since the newest bundle lies otherwise than what that was trained on."""

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

# A bundle of a time further ahead is of a clock that was wrong, and would else be the newest until then.
SKEW = timedelta(days=1)

log = logging.getLogger("trainer.watch")


def drifted(url: str, event_type: EventType, store: ModelStore, metrics: TrainerMetrics, now: datetime) -> str | None:
    """Why a model should be trained before its day, in words; empty where nothing drifted, None where looking failed.

    Only events old enough to be learnt from are looked at, those after the last one of the newest bundle. A slow
    drift, of which that bundle's own test part was already told, is no reason until it went as far again.
    """
    try:
        version = newest_of(store, now) or next(reversed(store.versions()), None)
        if version is None:
            return ""
        newest = store.read(version).manifest
        found = drift(url, event_type, newest, Rows(until=now - event_type.maturity))
    except (StreamScoreError, MemoryError) as error:
        metrics.drift_looks.labels("failed").inc()
        log.error("no drift was looked for: %s", error)
        return None
    known = _known(newest)
    for each in found.moved:
        metrics.drift.labels(each.name).set(each.psi / each.threshold)
    further = [each for each in found.moved if each.psi > each.threshold + known.get(each.name, 0.0)]
    metrics.drift_looks.labels("drift" if further else "none").inc()
    return _reason(newest, further) if further else ""


def newest_of(store: ModelStore, now: datetime) -> str | None:
    """The newest bundle, whatever became of it; None where there is none but of a time to come."""
    return next((v for v in reversed(store.versions()) if store.manifest(v).trained_at < now + SKEW), None)


def _known(newest: Manifest) -> dict[str, float]:
    """How far features and risks of the bundle's own test part were from its training."""
    features = {name: moved["psi"] for name, moved in newest.metrics.get("drift", {}).items()}
    return features | {RISK: newest.metrics.get("stability", {}).get("validation", {}).get("psi", 0.0)}


def _reason(newest: Manifest, moved: list[Moved]) -> str:
    sentences = [
        f"{each.name} moved (PSI {each.psi:.2f}, the threshold is {each.threshold:.2f}): {each.said}"
        for each in moved[:NAMED]
    ]
    more = [f"and {len(moved) - NAMED} more"] if len(moved) > NAMED else []
    return f"events since {newest.version} are not like those that it was trained on: {'; '.join(sentences + more)}"
