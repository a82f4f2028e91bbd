"""A champion and a challenger to compare: events with true risks, what both models said of them, and their store."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from streamscore.archive.delta import Table
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Thresholds
from streamscore.files.output import TIME
from streamscore.models.bundle_files import GOLDEN, NETWORK, SCALER
from streamscore.models.store import ModelStore
from tests.support.samples import StubScorer, bundle, by_amount
from tests.support.trained import START, write_table
from trainer.settings import TrainingSettings

ROWS, DAYS, CUSTOMERS = 12_000, 40, 1500
DAY = 86_400_000_000
NOW = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = TrainingSettings()


class World(NamedTuple):
    """Events with their true risks, and their answers, drawn from these."""

    at: np.ndarray  # µs since 1970
    truth: np.ndarray
    label: np.ndarray
    noise: np.ndarray

    def blurred(self, share: float) -> np.ndarray:
        """Calibrated risks that know less of the truth, the larger the share of events that are taken for average."""
        return np.where(self.noise < share, self.truth.mean(), self.truth)


def world() -> World:
    random = np.random.default_rng(4)
    truth = 1 / (1 + np.exp(5.5 - 2.5 * random.normal(size=ROWS)))
    at = START + np.sort(random.integers(0, DAYS * DAY, ROWS))
    return World(at, truth, random.random(ROWS) < truth, random.random(ROWS))


WORLD = world()


def write_world(folder: Path) -> None:
    """Events and labels as an import holds them; what nobody complained about has no label."""
    ids = [f"e{row}" for row in range(ROWS)]
    times = pa.array(WORLD.at, TIME)
    customers = [f"c{row % CUSTOMERS}" for row in range(ROWS)]
    write_table(folder / "events", {"event_id": ids, "occurred_at": times, "customer_id": customers})
    told = np.flatnonzero(WORLD.label)
    write_table(
        folder / "labels",
        {
            "event_id": [ids[row] for row in told],
            "occurred_at": times.take(pa.array(told)),
            "label": [True] * len(told),
            "labelled_at": pa.array(WORLD.at[told] + 3 * DAY, TIME),
        },
    )


def write_shadow(folder: Path, risks: np.ndarray, models: tuple[str, str] = ("v1", "v2")) -> None:
    """What a champion and a challenger said of each event, and of some of them twice."""
    rows = np.concatenate([np.arange(ROWS), np.arange(0, ROWS, 7)])
    columns = {
        "event_id": [f"e{row}" for row in rows],
        "customer_id": [f"c{row % CUSTOMERS}" for row in rows],
        "occurred_at": pa.array(WORLD.at[rows], TIME),
        "risk": risks[rows],
        "champion_risk": WORLD.blurred(0.3)[rows],
        "champion": [models[0]] * len(rows),
        "model": [models[1]] * len(rows),
        "date": pa.array([NOW.date()] * len(rows), pa.date32()),
    }
    table = Table(str(folder / "shadow"))
    before = table.reached([("s", 0)])
    table.append(pa.table(columns), before, {("s", 0): before.get(("s", 0), 0) + len(rows)})


def store_of_three(folder: Path) -> ModelStore:
    """A store with the champion v1, the challenger v2 and others."""
    found = ModelStore(str(folder), "transaction")
    template = bundle(TRANSACTION, StubScorer(by_amount)).manifest
    review = float(np.quantile(WORLD.truth, 0.99))
    for version in ("v1", "v2", "v3"):
        changed = {
            "version": version,
            "thresholds": Thresholds(review=review, decline=min(1.0, review * 1.2)),
            "metrics": {"test": {"average_precision": 0.3}},
        }
        found.write(template.model_copy(update=changed), {NETWORK: b"n", SCALER: b"{}", GOLDEN: b"g"})
    found.promote("v1")
    found.point("challenger", "v2")
    return found


@pytest.fixture(name="folder")
def compared_folder(tmp_path: Path) -> Path:
    """An archive of the world's events and labels."""
    write_world(tmp_path / "archive")
    return tmp_path / "archive"


@pytest.fixture(name="store")
def compared_store(tmp_path: Path) -> ModelStore:
    """A store of champion and challenger."""
    return store_of_three(tmp_path / "models")
