"""One training run, told in order: dataset → split → scale → fit → calibrate → evaluate → bundle → alias."""

import hashlib
import importlib.metadata
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from streamscore.core.bundle import Calibration, Golden, Manifest, Scaler, golden_matrix
from streamscore.core.event_type import EventType
from streamscore.errors import BundleError, StoreUnreachable
from streamscore.scorer import KerasScorer
from streamscore.store import CARD, GOLDEN, NETWORK, SCALER, BundleFiles, ModelStore, golden_bytes, loaded
from trainer import dataset, evaluate
from trainer.card import card
from trainer.fit import OnEpoch, Part, calibrate, fit, logits
from trainer.scaling import fit_scaler, scaled
from trainer.settings import TrainingSettings

GOLDEN_ROWS = 32
PACKAGES = ("streamscore", "keras", "tensorflow", "tensorflow-cpu", "jax", "numpy", "scikit-learn", "pandas")


class Progress(NamedTuple):
    """Who hears how a run goes: a sentence per step, and each epoch."""

    say: Callable[[str], None]
    epoch: OnEpoch


class Rows(NamedTuple):
    """What a run works on: the cleaned data, its parts, and its scaled columns."""

    data: dataset.Dataset
    parts: dataset.Split
    scaled: np.ndarray


class Trained(NamedTuple):
    """A fitted network with all that makes it a model."""

    network: Any
    scaler: Scaler
    calibration: Calibration


def train_once(
    archive: Path, event_type: EventType, store: ModelStore, settings: TrainingSettings, now: datetime, told: Progress
) -> Manifest:
    """Train on an archive folder and add the bundle to the store, once it loads as a worker would load it.

    A failed run leaves the store as it was.
    """
    store.alias("champion")  # a store that cannot be read is told now, not after the fit
    told.say(f"reading {archive}")
    data = dataset.read(archive, event_type, told.say)
    parts = dataset.split(data, settings)
    told.say(f"{len(data.labels):,} labelled events, {int(data.labels.sum()):,} positive, split {parts.how}")
    scaler = fit_scaler(event_type.features, data.matrix[parts.train])
    rows = Rows(data, parts, scaled(scaler, data.matrix))
    told.say(f"fitting the {settings.preset} network on {len(parts.train):,} events")
    network = fit(_part(rows, parts.train), _part(rows, parts.validation), settings, told.epoch)
    choosing, labels = _part(rows, parts.validation)
    trained = Trained(network, scaler, calibrate(logits(network, choosing), labels))
    told.say("judging it beside the baselines")
    manifest = _manifest(event_type, rows, trained, settings, now)
    files = _files(manifest, event_type, rows, trained)
    loaded(BundleFiles(manifest, files), event_type, device="auto")
    return _kept(store, manifest, files)


def _kept(store: ModelStore, manifest: Manifest, files: dict[str, bytes]) -> Manifest:
    try:
        return store.write(manifest, files)
    except BundleError:
        raise
    except OSError as error:
        raise StoreUnreachable(f"the model store cannot be written: {error.strerror or error}") from None


def place(store: ModelStore, version: str, promote: bool) -> str:
    """Give a new bundle its alias: champion when asked for or when there is none, else challenger."""
    if promote or store.alias("champion") is None:
        store.promote(version)
        return "champion"
    store.point("challenger", version)
    return "challenger"


def _part(rows: Rows, part: np.ndarray) -> Part:
    return rows.scaled[part], rows.data.labels[part]


def _risks(trained: Trained, rows: np.ndarray) -> np.ndarray:
    """Calibrated risks of scaled rows."""
    logit = trained.calibration.slope * logits(trained.network, rows) + trained.calibration.intercept
    return 1 / (1 + np.exp(-logit))


def _manifest(
    event_type: EventType, rows: Rows, trained: Trained, settings: TrainingSettings, now: datetime
) -> Manifest:
    data, parts = rows.data, rows.parts
    chosen = evaluate.thresholds(
        _risks(trained, rows.scaled[parts.validation]),
        settings.review_rate or event_type.review_rate,
        settings.decline_rate or event_type.decline_rate,
    )
    test_risks, test_labels = _risks(trained, rows.scaled[parts.test]), data.labels[parts.test]
    kinds = (data.matrix, rows.scaled, data.labels)
    first, last = dataset.period(data.events)
    return Manifest(
        version=f"{now:%Y%m%dT%H%M%SZ}-{weights_digest(trained)[:8]}",
        event_type=event_type.name,
        features=event_type.features.names,
        calibration=trained.calibration,
        thresholds=chosen,
        trained_at=now,
        data={
            "split": parts.how,
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(parts.test),
            "positives": int(data.labels.sum()),
            "first_event": first.isoformat(),
            "last_event": last.isoformat(),
            "cleaned": data.cleaned,
        },
        metrics={
            "test": evaluate.figures(test_labels, test_risks),
            "at_thresholds": evaluate.rates(test_risks, chosen, test_labels),
            "baselines": evaluate.baselines(
                tuple(kind[parts.train] for kind in kinds), tuple(kind[parts.test] for kind in kinds), settings.seed
            ),
            "weights": weights_digest(trained),
        },
        settings=settings.model_dump(),
        packages=_installed(),
    )


def weights_digest(trained: Trained) -> str:
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


def _files(manifest: Manifest, event_type: EventType, rows: Rows, trained: Trained) -> dict[str, bytes]:
    """The bundle's files. Golden rows are test events, half of them positives where there are enough."""
    test = rows.parts.test
    positives_first = test[np.argsort(~rows.data.labels[test], kind="stable")]
    chosen = np.concatenate([positives_first[: GOLDEN_ROWS // 2], positives_first[-GOLDEN_ROWS // 2 :]])
    events = dataset.wire_events(event_type, rows.data.events.iloc[np.unique(chosen)])
    matrix = golden_matrix(event_type, event_type.features, events)
    scorer = KerasScorer(trained.network, trained.scaler, trained.calibration)
    return {
        NETWORK: _network_bytes(trained.network),
        SCALER: trained.scaler.model_dump_json(indent=1).encode(),
        GOLDEN: golden_bytes(Golden(events, matrix, scorer.risks(matrix))),
        CARD: card(manifest).encode(),
    }


def _network_bytes(network: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, NETWORK)
        # A clone has no optimiser: the worker needs none, and it is three quarters of the file.
        bare = keras.models.clone_model(network)
        bare.set_weights(network.get_weights())
        bare.save(path)
        return path.read_bytes()
