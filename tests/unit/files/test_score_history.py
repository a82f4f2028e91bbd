"""A file of events with a history is scored as of each event's own time, with the labels that it is given."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from examples.handbook import TRANSACTION
from streamscore.files.as_of import Reader, Source
from streamscore.files.score import Summary, as_of, score_batches
from tests.support.samples import NOW, StubScorer, bundle
from tests.unit.files.test_features import RISK, rows, write

# A scorer that gives back one of the features as the risk.
COLUMN = TRANSACTION.features.names.index(RISK)
MODEL = bundle(TRANSACTION, StubScorer(lambda matrix: matrix[:, COLUMN].astype(np.float32), {0: 1.0}))


def scored(folder: Path, source: Source) -> tuple[Summary, list[dict[str, Any]]]:
    out = folder / "scored.parquet"
    summary = score_batches(MODEL, as_of(MODEL, Reader(TRANSACTION, source, lambda _: None, NOW)), out, NOW)
    return summary, pq.read_table(out).to_pylist()


def test_rows_come_in_the_order_of_time(tmp_path: Path) -> None:
    """Each row has its number in the file, and none is left out."""
    given = rows(400)
    summary, found = scored(tmp_path, Source(write(tmp_path / "events.parquet", given), labelled=False))
    assert (summary.read, summary.scored, summary.refused) == (400, 400, 0)
    assert [row["event_id"] for row in found] == [
        row["transaction_id"] for row in sorted(given, key=lambda row: (row["occurred_at"], row["transaction_id"]))
    ]
    assert all(given[row["row"]]["transaction_id"] == row["event_id"] for row in found)


def test_its_own_labels_are_not_known_to_a_worker(tmp_path: Path) -> None:
    """Without a file of labels no fraud is known, as in a worker without such a topic; with one they are, when told."""
    given = rows(400)
    events = write(tmp_path / "events.parquet", given)
    assert {row["risk"] for row in scored(tmp_path, Source(events, labelled=False))[1]} == {0.0}
    labels = [
        {name: row[name] for name in ("occurred_at", "customer_id", "terminal_id")}
        | {"event_id": row["transaction_id"], "label": True, "labelled_at": row["occurred_at"] + timedelta(days=7)}
        for row in given
        if row["is_fraud"]
    ]
    told = write(tmp_path / "labels.parquet", labels)
    with_labels = scored(tmp_path, Source(events, told, labelled=False))[1]
    assert with_labels == scored(tmp_path, Source(events))[1]
    assert max(row["risk"] for row in with_labels) > 0.2
