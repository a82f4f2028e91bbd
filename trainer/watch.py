"""Unattended retraining on a schedule and on drift, one run at a time. A failed run changes nothing.

A challenger in shadow is compared with the champion every day, and before each run.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from streamscore.archive.read import Rows
from streamscore.core.events.event_type import EventType
from streamscore.core.history.entity_history import EntityHistory
from streamscore.core.scoring.bundle import Manifest
from streamscore.errors import StreamScoreError
from streamscore.models.store import ModelStore
from trainer.metrics import TrainerMetrics
from trainer.promotion.drift_trigger import drifted, newest_of
from trainer.promotion.placement import place
from trainer.promotion.shadow_comparison import compared, readable, settle
from trainer.run import Job, Progress, Source, train_once
from trainer.settings import TrainingSettings

# Seconds between two checks whether a run is due, and seconds of waiting after a failed run.
LOOK_SECONDS, AGAIN_SECONDS = 5.0, 600.0
# Between two comparisons: the more often a challenger is compared, the likelier chance alone promotes it.
COMPARE_EVERY = timedelta(days=1)

log = logging.getLogger("trainer.watch")


class Watch(NamedTuple):
    """What is retrained: the archive, event type, store and settings, and the time between two runs.

    `drift_every` is the time between two checks for drift, None for no checks.
    """

    url: str
    event_type: EventType
    store: ModelStore
    settings: TrainingSettings
    every: timedelta
    drift_every: timedelta | None = None


class Looks(NamedTuple):
    """When a challenger is next compared, and when drift is next looked for."""

    compare_at: datetime
    drift_at: datetime


def watch(
    what: Watch, metrics: TrainerMetrics, clock: Callable[[], datetime], stopped: Callable[[float], bool]
) -> None:
    """Retrain until stopped; `stopped` waits that many seconds and returns whether to stop.

    Any error is logged and counted, and the turn is tried again after 10 minutes.
    """
    looks, wait = Looks(*[datetime.min.replace(tzinfo=UTC)] * 2), 0.0
    while not stopped(wait):
        try:
            wait, looks = _turn(what, metrics, clock(), looks)
        except Exception as error:  # a full disk, a manifest that lacks something, whatever a library raises
            _failed(metrics, "nothing was done", error)
            wait = AGAIN_SECONDS


def _turn(what: Watch, metrics: TrainerMetrics, now: datetime, looks: Looks) -> tuple[float, Looks]:
    """Do what is due; return the seconds to wait, and the times of the next comparison and drift check."""
    if due(what, now):
        return LOOK_SECONDS if retrained(what, metrics, now) else AGAIN_SECONDS, looks
    if now >= looks.compare_at:
        _by_the_day(what, metrics, now)
        looks = looks._replace(compare_at=now + min(COMPARE_EVERY, what.every))
    if what.drift_every and now >= looks.drift_at:
        if not followed(what, metrics, now):
            return AGAIN_SECONDS, looks
        looks = looks._replace(drift_at=now + what.drift_every)
    return LOOK_SECONDS, looks


def due(what: Watch, now: datetime) -> bool:
    """Whether the newest bundle, whatever its verdict, is older than the schedule allows. Raises BundleError."""
    version = newest_of(what.store, now)
    return version is None or now - what.store.manifest(version).trained_at >= what.every


def followed(what: Watch, metrics: TrainerMetrics, now: datetime) -> bool:
    """Check for drift and retrain when there is some; return whether both succeeded."""
    why = drifted(what.url, what.event_type, what.store, metrics, now)
    if why:
        log.info("retraining before its day: %s", why)
        return retrained(what, metrics, now) is not None
    return why is not None


def retrained(what: Watch, metrics: TrainerMetrics, now: datetime) -> Manifest | None:
    """One run, recorded in metrics and log; None when it failed."""
    metrics.running.set(1)
    begun = time.monotonic()
    try:
        with what.store.alone(now):
            waits = challenged(what, metrics, now)
            job = Job(what.event_type, what.store, what.settings, now)
            manifest = train_once(Source(what.url, _rows(what, now)), job, Progress(log.info, lambda _: None))
            alias, why = place(what.store, manifest, promote=False, taken=waits)
    except Exception as error:
        _failed(metrics, "no model was trained", error)
        return None
    finally:
        metrics.running.set(0)
        metrics.duration.set(time.monotonic() - begun)
    _record(metrics, manifest, now)
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
    """Compare the challenger with the champion and promote it if the gates allow; return whether it waits for labels.

    A failed comparison is logged and counted, and changes nothing. The challenger goes on waiting, unless it or the
    champion cannot be read.
    """
    try:
        found = compared(what.url, what.event_type, what.store, what.settings)
        if found is None:
            return False
        promoted = settle(what.store, found, now)
    except Exception as error:
        _failed(metrics, "no challenger was compared", error)
        return readable(what.store)
    metrics.comparisons.labels(found.verdict).inc()
    for name, value in found.figures.items():
        metrics.comparison.labels(name).set(value)
    log.info("%s beside %s: %s", found.challenger, found.champion, found.summary(promoted))
    return found.open and readable(what.store)


def _failed(metrics: TrainerMetrics, what: str, error: Exception) -> None:
    """Count and log a failure: an expected error as one sentence, any other with its traceback."""
    metrics.failures.inc()
    expected = isinstance(error, StreamScoreError | MemoryError)
    log.error("%s: %s", what, error if expected else f"{type(error).__name__}: {error}", exc_info=not expected)


def _rows(what: Watch, now: datetime) -> Rows:
    """The rows to read: with a window, only those that the features of the window's events can depend on."""
    if what.settings.window_days is None:
        return Rows()
    horizon = timedelta(microseconds=EntityHistory(what.event_type).horizon)
    return Rows(since=now - timedelta(what.settings.window_days) - what.event_type.maturity - what.every - horizon)


def _record(metrics: TrainerMetrics, manifest: Manifest, now: datetime) -> None:
    metrics.success_at.set(now.timestamp())
    metrics.verdicts.labels(manifest.metrics["judgement"]["verdict"]).inc()
    for part in ("train", "validation", "test", "positives"):
        metrics.rows.labels(part).set(manifest.data[part])
    for name, value in manifest.metrics["test"].items():
        metrics.figure.labels(name).set(value)
