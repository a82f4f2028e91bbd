"""One training run, in order: dataset → split → scaler → fit → calibrate → evaluate → bundle → report → alias."""

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from streamscore.archive.read import EVERY, Rows
from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.bundle import Manifest
from streamscore.errors import BundleError, DataError, StoreUnreachable
from streamscore.models.bundle_files import CARD, REPORT, BundleFiles
from streamscore.models.load import loaded
from streamscore.models.store import ModelStore
from trainer.bundle import FittedModel, Scaled, files_of, manifest_of, scored
from trainer.data import dataset, segments
from trainer.data.part import evenly_spaced
from trainer.evaluation.evaluate import with_values
from trainer.fitting import user_network
from trainer.fitting.boosting import needed
from trainer.fitting.distil import FORESTS, fitted
from trainer.fitting.fit import OnEpoch, calibrate, logits
from trainer.fitting.presets import network_of
from trainer.fitting.scaler_choice import LOOKED_AT, scaler_for
from trainer.fitting.scaling import FITTED
from trainer.promotion.judge import Candidate, importance, judged
from trainer.report import plots
from trainer.report.card import card
from trainer.report.html import page
from trainer.settings import TrainingSettings


class Job(NamedTuple):
    """What is trained, by which settings, when, and for which store."""

    event_type: EventType
    store: ModelStore
    settings: TrainingSettings
    now: datetime


class Progress(NamedTuple):
    """Who hears how a run goes: a sentence per step, and each epoch."""

    say: Callable[[str], None]
    epoch: OnEpoch


class Source(NamedTuple):
    """The archive to learn from, a folder or a URL, and which of its rows are read."""

    url: str
    rows: Rows = EVERY


def check(event_type: EventType, settings: TrainingSettings) -> None:
    """SettingsError where settings name a field, a network or a library that there is not; nothing is read for it."""
    segments.check(event_type, settings)
    networks = list(filter(None, (settings.preset, settings.student)))
    for name in networks:
        network_of(name)
    if settings.teacher.trees or "piecewise" in networks:
        needed("xgboost")


def train_once(source: Source, job: Job, progress: Progress) -> Manifest:
    """Train on an archive and add the bundle to the store, once it loads as a worker would load it.

    A failed run leaves the store as it was.
    """
    check(job.event_type, job.settings)
    job.store.alias("champion")  # an unreadable store fails the run now, not after hours of fitting
    progress.say(f"reading {source.url}")
    with tempfile.TemporaryDirectory() as folder:
        which = dataset.Which.of(source.rows, job.settings)
        data = dataset.read(source.url, job.event_type, Path(folder), progress.say, which)
        return _kept(job.store, *_trained(data, job, progress))


def _trained(data: dataset.Dataset, job: Job, progress: Progress) -> tuple[Manifest, dict[str, bytes]]:
    """A bundle that was loaded as a worker would load it, and judged."""
    event_type, settings = job.event_type, job.settings
    parts = dataset.split(data, event_type, settings)
    progress.say(
        f"{len(data.labels):,} labelled events, {int(data.labels.sum()):,} positive, split {parts.description}"
    )
    some = (evenly_spaced(parts.train, FITTED), evenly_spaced(parts.validation, LOOKED_AT))
    learn, choose = ((data.matrix[rows], data.labels[rows]) for rows in some)
    if not with_values(learn[0]).any():
        raise DataError("no feature has a value in any event of the training part: there is nothing to learn from")
    scaler = scaler_for(event_type.features, learn, choose, settings)
    user_network.check(scaler, settings)
    rows = Scaled(data, parts, scaler)
    if trees := settings.teacher.trees:
        progress.say(f"growing {FORESTS} forests of {trees} trees, which teach the network")
    progress.say(f"fitting the {settings.preset} network on {len(parts.train):,} events")
    choosing = rows.part(parts.validation)
    network = fitted(rows.part(parts.train), choosing, settings, progress.epoch)
    trained = FittedModel(network, scaler, calibrate(logits(network, choosing), choosing.labels))
    progress.say("judging it beside the baselines and the champion")
    found = scored(event_type, rows, trained, settings)
    manifest = manifest_of(event_type, rows, trained, found, settings, job.now)
    files = files_of(event_type, rows, trained)
    bundle = loaded(BundleFiles(manifest, files), event_type, device="auto")
    candidate = Candidate(rows, trained, bundle, sum(map(len, files.values())))
    judgement = {"importance": importance(candidate), "judgement": judged(candidate, job.store, settings)}
    manifest = manifest.model_copy(update={"metrics": {**manifest.metrics, **judgement}})
    progress.say("writing its report")
    report = page(manifest, plots.drawn(manifest, found))
    return manifest, {**files, CARD: card(manifest).encode(), REPORT: report}


def _kept(store: ModelStore, manifest: Manifest, files: dict[str, bytes]) -> Manifest:
    try:
        return store.write(manifest, files)
    except BundleError:
        raise
    except OSError as error:
        raise StoreUnreachable(f"the model store cannot be written: {error.strerror or error}") from None
