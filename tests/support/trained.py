"""Small models that the trainer really trained, once in a session, for all tests that need one."""

import atexit
import fcntl
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.bundle import Bundle, Manifest
from streamscore.models.load import load
from streamscore.models.store import ModelStore
from streamscore.registry import BUILT_IN
from streamscore.simulator import streams as simulator
from streamscore.simulator.streams import Simulated
from tests.support.session import folder_of_all_processes
from trainer import run
from trainer.promotion.placement import place
from trainer.report import plots
from trainer.run import Job, Progress, Source, train_once
from trainer.settings import TrainingSettings

START = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
ROWS = {"transaction": 20_000, "application": 8_000}
SIMULATE = {"transaction": simulator.transactions, "application": simulator.applications}
TRAINED_AT = datetime(2025, 6, 1, tzinfo=UTC)
SILENT = Progress(lambda _: None, lambda _: None)
QUICK = TrainingSettings(gap_days=0, preset="dense", epochs=2, batch=64)


def simulated(name: str, rows: int | None = None) -> Simulated:
    """Two months of simulated events of a built-in type."""
    count = rows or ROWS[name]
    return SIMULATE[name](count, START, count / (60 * 86_400), 7)


def write_archive(folder: Path, events: Simulated) -> Path:
    """An archive folder, as the trainer reads it, of simulated events."""
    times = {"occurred_at": microseconds(events.columns["occurred_at"])}
    others = {name: pa.array(values, from_pandas=True) for name, values in events.columns.items()}
    write_table(folder / "events", others | times)
    entities = {"customer_id", "terminal_id", "applicant_id"}
    labels = {
        **{name: values for name, values in others.items() if name in {"event_id"} | entities},
        **times,
        "label": events.label,
        "labelled_at": microseconds(events.labelled_at),
    }
    write_table(folder / "labels", labels)
    return folder


def microseconds(values: object) -> pa.Array:
    return pa.array(values).cast(pa.timestamp("us", "UTC"))


def write_table(folder: Path, columns: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"{len(list(folder.iterdir()))}.parquet")


def trained_store(folder: Path) -> dict[str, str]:
    """Fill a folder with a model store of both built-in types; the champion's version of each.

    The training happens once in a session; every call makes its own copy, which a test may spoil.
    """
    original, versions = _trained()
    shutil.copytree(original, folder, dirs_exist_ok=True)
    return dict(versions)


def trained_manifest(name: str) -> Manifest:
    """What the session's model of an event type says of itself; nothing is loaded."""
    original, versions = _trained()
    return ModelStore(str(original), name).manifest(versions[name])


@cache
def champion(name: str) -> Bundle:
    """The session's loaded and warmed model of an event type."""
    original, versions = _trained()
    return load(ModelStore(str(original), name), versions[name], BUILT_IN[name], "auto")


@cache
def _trained() -> tuple[Path, dict[str, str]]:
    root = folder_of_all_processes("trained") or _removed_at_the_end()
    versions = root / "versions.json"
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not versions.exists():
            with one_shape(), pytest.MonkeyPatch.context() as patch:
                patch.setattr(run, "plots", plots)  # also for a test whose own trainings do without
                trained = {name: _train(root / "archive" / name, BUILT_IN[name], root / "models") for name in ROWS}
            versions.write_text(json.dumps(trained))
    return root / "models", json.loads(versions.read_text())


def _removed_at_the_end() -> Path:
    root = Path(tempfile.mkdtemp(prefix="streamscore-trained-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root


def _train(archive: Path, event_type: EventType, models: Path) -> str:
    write_archive(archive, simulated(event_type.name))
    store = ModelStore(str(models), event_type.name)
    manifest = train_once(Source(str(archive)), Job(event_type, store, QUICK, TRAINED_AT), SILENT)
    place(store, manifest, promote=True)
    return manifest.version


@contextmanager
def one_shape() -> Iterator[None]:
    """While it lasts, scorers cut batches to the smallest shape, so warming compiles one instead of five."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamscore.models.keras_scorer.SHAPES", (16,))
        yield
