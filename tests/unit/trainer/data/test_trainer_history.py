"""Training on an event type with history: each event as of its own time, by the code that serves live events."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from examples.handbook import TRANSACTION, WINDOWS
from streamscore.archive.importing import import_file
from streamscore.files import as_of, features
from streamscore.models.load import load
from streamscore.models.store import ModelStore
from tests.support.trained import QUICK, SILENT, TRAINED_AT
from tests.unit.files.test_features import START, rows, write
from trainer.data import dataset
from trainer.run import Job, Source, train_once


@pytest.fixture
def events_file(tmp_path: Path) -> Path:
    """A file of transactions, in no order; fraud is where amounts are large, told of those of the first 50 days."""
    told = START + timedelta(days=50)
    values: list[dict[str, Any]] = [
        row | {"is_fraud": row["amount"] > 80 if row["occurred_at"] < told else None} for row in rows(3000)
    ]
    return write(tmp_path / "events.parquet", values)


@pytest.fixture
def archive(tmp_path: Path, events_file: Path) -> Path:
    """The archive that is imported from it."""
    import_file(events_file, tmp_path / "archive", TRANSACTION, timedelta(days=7), None)
    return tmp_path / "archive"


def test_the_matrix_is_that_of_the_file(
    tmp_path: Path, events_file: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer's rows are those of `streamscore features`, in float32; young events are only folded."""
    monkeypatch.setattr("streamscore.files.external_sort.CHUNK", 70)
    monkeypatch.setattr("streamscore.archive.order.CHUNK", 700)
    work = tmp_path / "work"
    work.mkdir()
    data = dataset.read(str(archive), TRANSACTION, work)
    events = data.events.take(np.arange(len(data.labels))).to_pandas()
    features.write_features(TRANSACTION, as_of.Source(events_file), tmp_path / "out.parquet", lambda _: None)
    table = pq.read_table(tmp_path / "out.parquet")
    assert 0 < data.cleaned["without_a_mature_label"] == table.num_rows - len(events)
    assert table["event_id"].to_pylist()[: len(events)] == events["event_id"].tolist()
    for column, name in enumerate(TRANSACTION.features.names):
        written = table[name].to_numpy()[: len(events)].astype(np.float32)
        assert np.array_equal(written, data.matrix[:, column], equal_nan=True), name
    told = events["occurred_at"] < START + timedelta(days=50)
    assert data.labels.tolist() == ((events["amount"] > 80) & told).tolist()


def test_unlabelled_events_are_history_too(tmp_path: Path) -> None:
    """An event without an answer of its own is there when later ones are asked; an unknown answer is no risk."""
    values = [row | {"is_fraud": None if row["transaction_id"] % 2 else True} for row in rows(400)]
    import_file(write(tmp_path / "e.parquet", values), tmp_path / "a", TRANSACTION, timedelta(days=7), None)
    work = tmp_path / "work"
    work.mkdir()
    data = dataset.read(str(tmp_path / "a"), TRANSACTION, work)
    risk = data.matrix[:, TRANSACTION.features.names.index("terminal_risk_30day_window")]
    count = data.matrix[:, TRANSACTION.features.names.index("terminal_nb_tx_30day_window")]
    assert risk[count > 30].max() < 0.8
    assert risk[count > 30].min() > 0.2


def test_a_model_is_trained_and_loads(tmp_path: Path, archive: Path) -> None:
    """A training run ends with a bundle that keeps its golden rows, history columns among its features."""
    store = ModelStore(str(tmp_path / "models"), TRANSACTION.name)
    manifest = train_once(Source(str(archive)), Job(TRANSACTION, store, QUICK, TRAINED_AT), SILENT)
    assert {aggregate.name for aggregate in WINDOWS} <= set(manifest.features)
    assert manifest.metrics["test"]["auc"] > 0.8
    loaded = load(store, manifest.version, TRANSACTION, "auto")
    assert loaded.features.names == TRANSACTION.features.names
