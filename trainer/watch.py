"""Retraining unattended: one run at a time, on a schedule and on drift; one that fails leaves everything as it was.

Every day, and before each run, a challenger in shadow is compared with the champion.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from streamscore.archive_read import Rows
from streamscore.core.bundle import Manifest
from streamscore.core.event_type import EventType
from streamscore.core.history import EntityHistory
from streamscore.errors import StreamScoreError
from streamscore.store import ModelStore
from trainer.comparison import compared, settle
from trainer.drifting import drifted
from trainer.metrics import TrainerMetrics
from trainer.run import Job, Progress, Source, place, train_once
from trainer.settings import TrainingSettings

# Between two looks whether a run is due, and after a run that failed.
LOOK_SECONDS, AGAIN_SECONDS = 5.0, 600.0
# Between two comparisons: the more often one looks, the likelier chance alone promotes.
COMPARE_EVERY = timedelta(days=1)

log = logging.getLogger("trainer.watch")


class Watch(NamedTuple):
    """What is retrained: of which archive, into which store, by which settings, how often, and how often it looks
    for drift, None for never.
    """

    url: str
    event_type: EventType
    store: ModelStore
    settings: TrainingSettings
    every: timedelta
    drift_every: timedelta | None = None


def watch(
    what: Watch, metrics: TrainerMetrics, clock: Callable[[], datetime], stopped: Callable[[float], bool]
) -> None:
    """Retrain until stopped; `stopped` waits so many seconds and says whether to stop."""
    compare_at = drift_at = datetime.min.replace(tzinfo=UTC)
    wait = 0.0
    while not stopped(wait):
        wait, now = LOOK_SECONDS, clock()
        if due(what, now):
            wait = LOOK_SECONDS if retrained(what, metrics, now) else AGAIN_SECONDS
            continue
        if now >= compare_at:
            compare_at = now + min(COMPARE_EVERY, what.every)
            _by_the_day(what, metrics, now)
        if what.drift_every and now >= drift_at:
            wait = LOOK_SECONDS if followed(what, metrics, now) else AGAIN_SECONDS
            drift_at = now + what.drift_every if wait == LOOK_SECONDS else now


def due(what: Watch, now: datetime) -> bool:
    """Whether the newest bundle, whatever became of it, is as old as it may be; not while the store does not answer."""
    try:
        versions = what.store.versions()
        return not versions or now - what.store.manifest(versions[-1]).trained_at >= what.every
    except StreamScoreError as error:
        log.warning("%s", error)
        return False


def followed(what: Watch, metrics: TrainerMetrics, now: datetime) -> bool:
    """Look for drift, and retrain where there is some; whether both went well."""
    why = drifted(what.url, what.event_type, what.store, metrics, now)
    if why:
        log.info("retraining before its day: %s", why)
        return retrained(what, metrics, now) is not None
    return why is not None


def retrained(what: Watch, metrics: TrainerMetrics, now: datetime) -> Manifest | None:
    """One run, told to metrics and log; None when it failed."""
    metrics.running.set(1)
    begun = time.monotonic()
    try:
        with what.store.alone(now):
            waits = challenged(what, metrics, now)
            job = Job(what.event_type, what.store, what.settings, now)
            manifest = train_once(Source(what.url, _rows(what, now)), job, Progress(log.info, lambda _: None))
            alias, why = place(what.store, manifest, promote=False, taken=waits)
    except (StreamScoreError, MemoryError) as error:
        metrics.failures.inc()
        log.error("no model was trained: %s", error)
        return None
    finally:
        metrics.running.set(0)
        metrics.duration.set(time.monotonic() - begun)
    _tell(metrics, manifest, now)
    judgement = manifest.metrics["judgement"]
    reasons = "; ".join(filter(None, (*judgement["reasons"], why)))
    log.info("%s: %s, %s: %s", manifest.version, judgement["verdict"], alias or "no alias", reasons)
    return manifest


def _by_the_day(what: Watch, metrics: TrainerMetrics, now: datetime) -> None:
    """Compare while nobody trains for the store: two promotions must not cross."""
    try:
        with what.store.alone(now):
            challenged(what, metrics, now)
    except StreamScoreError as error:
        log.warning("no challenger was compared: %s", error)


def challenged(what: Watch, metrics: TrainerMetrics, now: datetime) -> bool:
    """Compare the challenger with the champion, and promote it if it may be; whether it waits for more answers.

    A comparison that fails is said and counted, and leaves everything as it was: who waits goes on waiting.
    """
    try:
        found = compared(what.url, what.event_type, what.store, what.settings)
        if found is None:
            return False
        promoted = settle(what.store, found, now)
    except (StreamScoreError, MemoryError) as error:
        metrics.failures.inc()
        log.error("no challenger was compared: %s", error)
        return True
    metrics.comparisons.labels(found.verdict).inc()
    for name, value in found.figures.items():
        metrics.comparison.labels(name).set(value)
    log.info("%s beside %s: %s", found.challenger, found.champion, found.said(promoted))
    return found.open


def _rows(what: Watch, now: datetime) -> Rows:
    """With a window, no more of the archive is read than that window's events can know of."""
    if what.settings.window_days is None:
        return Rows()
    horizon = timedelta(microseconds=EntityHistory(what.event_type).horizon)
    return Rows(since=now - timedelta(what.settings.window_days) - what.event_type.maturity - what.every - horizon)


def _tell(metrics: TrainerMetrics, manifest: Manifest, now: datetime) -> None:
    metrics.success_at.set(now.timestamp())
    metrics.verdicts.labels(manifest.metrics["judgement"]["verdict"]).inc()
    for part in ("train", "validation", "test", "positives"):
        metrics.rows.labels(part).set(manifest.data[part])
    for name, value in manifest.metrics["test"].items():
        metrics.figure.labels(name).set(value)
