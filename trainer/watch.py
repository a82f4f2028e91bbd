"""Retraining unattended: one run at a time, on a schedule and on drift; one that fails leaves everything as it was.

Every day, and before each run, a challenger in shadow is compared with the champion.
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


class Looks(NamedTuple):
    """When a challenger is next compared, and when drift is next looked for."""

    compare_at: datetime
    drift_at: datetime


def watch(
    what: Watch, metrics: TrainerMetrics, clock: Callable[[], datetime], stopped: Callable[[float], bool]
) -> None:
    """Retrain until stopped; `stopped` waits so many seconds and says whether to stop.

    Whatever goes wrong in a turn is said and counted, and tried again after a while.
    """
    looks, wait = Looks(*[datetime.min.replace(tzinfo=UTC)] * 2), 0.0
    while not stopped(wait):
        try:
            wait, looks = _turn(what, metrics, clock(), looks)
        except Exception as error:  # a full disk, a manifest that lacks something, whatever a library raises
            _failed(metrics, "nothing was done", error)
            wait = AGAIN_SECONDS


def _turn(what: Watch, metrics: TrainerMetrics, now: datetime, looks: Looks) -> tuple[float, Looks]:
    """One look at what is due; how long to wait for the next, and what is due then."""
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
    """Whether the newest bundle, whatever became of it, is as old as it may be. BundleError of the store."""
    version = newest_of(what.store, now)
    return version is None or now - what.store.manifest(version).trained_at >= what.every


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
    """Compare the challenger with the champion, and promote it if it may be; whether it waits for more answers.

    A comparison that fails is said and counted, and leaves everything as it was: who waits goes on waiting, but for a
    challenger that cannot be read, or that stands beside a champion that cannot be.
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
    """An error that can be expected is a sentence; of any other the log has where it came from."""
    metrics.failures.inc()
    expected = isinstance(error, StreamScoreError | MemoryError)
    log.error("%s: %s", what, error if expected else f"{type(error).__name__}: {error}", exc_info=not expected)


def _rows(what: Watch, now: datetime) -> Rows:
    """With a window, no more of the archive is read than that window's events can know of."""
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
