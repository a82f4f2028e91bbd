"""The feature matrix of a file: any order of rows, labels of its own or of a file, bad rows told."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from examples.handbook import TRANSACTION
from streamscore.core.events.transaction import TRANSACTION as PAYMENT
from streamscore.core.history.entity_history import EntityHistory
from streamscore.errors import DataError
from streamscore.files.as_of import Source
from streamscore.files.features import Summary, write_features
from tests.support.samples import payment

START = datetime(2025, 1, 1, tzinfo=UTC)
RISK, COUNT = "terminal_risk_30day_window", "customer_nb_tx_7day_window"


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Transactions of few customers and terminals over two months, many of them fraudulent."""
    random = np.random.default_rng(seed)
    return [
        {
            "transaction_id": n,
            "occurred_at": START + timedelta(minutes=int(random.integers(0, 60 * 24 * 60))),
            "customer_id": int(random.integers(0, 8)),
            "terminal_id": int(random.integers(0, 5)),
            "amount": float(random.integers(100, 10_000)) / 100,
            "is_fraud": bool(random.random() < 0.3),
        }
        for n in range(count)
    ]


def write(path: Path, values: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(values), path)
    return path


def features(source: Source, out: Path) -> dict[int, dict[str, Any]]:
    """What is written, by event id."""
    write_features(TRANSACTION, source, out, lambda _: None)
    return {row["event_id"]: row for row in pq.read_table(out).to_pylist()}


def test_rows_in_any_order(tmp_path: Path) -> None:
    """Each feature of the type is a column, in time order, and the order of the file's rows changes nothing."""
    given = rows(600)
    by_time = sorted(given, key=lambda row: (row["occurred_at"], row["transaction_id"]))
    found = features(Source(write(tmp_path / "a.parquet", given)), tmp_path / "a.out.parquet")
    assert found == features(Source(write(tmp_path / "b.parquet", by_time)), tmp_path / "b.out.parquet")
    assert list(found) == [row["transaction_id"] for row in by_time]
    assert list(found[0]) == ["event_id", *TRANSACTION.features.names]
    for row in given[:50]:
        week = [
            other
            for other in given
            if other["customer_id"] == row["customer_id"]
            and row["occurred_at"] - timedelta(days=7) < other["occurred_at"]
            and (other["occurred_at"], other["transaction_id"]) <= (row["occurred_at"], row["transaction_id"])
        ]
        assert found[row["transaction_id"]][COUNT] == len(week)
        assert found[row["transaction_id"]]["amount"] == row["amount"]
    assert any(0 < row[RISK] < 1 for row in found.values())


def test_they_are_the_live_numbers(tmp_path: Path) -> None:
    """The columns are what a history gives to decoded events, rounded by nothing."""
    given = sorted(rows(100), key=lambda row: (row["occurred_at"], row["transaction_id"]))
    found = features(Source(write(tmp_path / "a.parquet", given)), tmp_path / "out.parquet")
    events = [
        TRANSACTION.struct(
            r["transaction_id"], *(r[n] for n in ("occurred_at", "customer_id", "terminal_id", "amount"))
        )
        for r in given
    ]
    history = EntityHistory(TRANSACTION)
    columns = history.following(TRANSACTION.columns(events))
    mean = "customer_avg_amount_30day_window"
    assert [found[row["transaction_id"]][mean] for row in given] == columns[mean].tolist()


def test_labels_of_a_file(tmp_path: Path) -> None:
    """Labels count from when they were known: all after a week are the file's own, and without any risk is 0."""
    given = rows(400)
    path = write(tmp_path / "a.parquet", given)
    told = [
        {"event_id": r["transaction_id"], "label": r["is_fraud"], "labelled_at": r["occurred_at"] + timedelta(days=7)}
        | {name: r[name] for name in ("occurred_at", "customer_id", "terminal_id")}
        for r in given
    ]
    late = [label | {"labelled_at": label["labelled_at"] + timedelta(days=365)} for label in told]
    own = features(Source(path), tmp_path / "own.parquet")
    assert own == features(Source(path, write(tmp_path / "l.parquet", told)), tmp_path / "same.parquet")
    never = features(Source(path, write(tmp_path / "late.parquet", late)), tmp_path / "never.parquet")
    assert {row[RISK] for row in never.values()} == {0}
    assert {row[RISK] for row in own.values()} != {0}


def test_labels_that_are_none_are_an_error(tmp_path: Path) -> None:
    """A file of which every row is refused as a label would silently make every risk 0."""
    path = write(tmp_path / "a.parquet", rows(5))
    (tmp_path / "labels.ndjson").write_text('{"event_id": 1}\n' * 3)
    with pytest.raises(DataError, match=r"labels\.ndjson: every row is refused, so no label is known"):
        features(Source(path, tmp_path / "labels.ndjson"), tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    (tmp_path / "none.ndjson").write_text("")
    assert len(features(Source(path, tmp_path / "none.ndjson"), tmp_path / "out.parquet")) == 5


def test_bad_rows_are_told_and_left_out(tmp_path: Path) -> None:
    """A row that is no event, or whose label is none, is named with its reason; the others are as without it."""
    given = rows(50)
    lines = [json.dumps(row | {"occurred_at": row["occurred_at"].isoformat()}) for row in given]
    bad = [
        "{",
        lines[0].replace('"amount": ', '"amount": -'),
        lines[1].replace('"is_fraud": ', '"is_fraud": "x", "y": '),
    ]
    (tmp_path / "good.ndjson").write_text("\n".join(lines))
    (tmp_path / "bad.ndjson").write_text("\n".join([*bad, *lines, lines[3]]))
    said: list[str] = []
    out = tmp_path / "out.parquet"
    summary = write_features(TRANSACTION, Source(tmp_path / "bad.ndjson"), out, said.append)
    assert summary == Summary(written=51, repeated=1, refused=3, labels=50)
    assert said[0] == "bad.ndjson: row 0 is refused: truncated: the value ends inside the document"
    assert [line.split(" refused")[0] for line in said] == [f"bad.ndjson: row {n} is" for n in range(3)]
    found = {row["event_id"]: row for row in pq.read_table(out).to_pylist()}
    assert found == features(Source(tmp_path / "good.ndjson"), tmp_path / "good.parquet")


def test_labels_are_asked_for_where_they_matter(tmp_path: Path) -> None:
    """A file without labels is refused where a risk needs them, and taken where none does."""
    path = write(tmp_path / "a.parquet", [{k: v for k, v in row.items() if k != "is_fraud"} for row in rows(5)])
    with pytest.raises(DataError, match="needs one column 'is_fraud'"):
        write_features(TRANSACTION, Source(path), tmp_path / "out.parquet", lambda _: None)
    assert not (tmp_path / "out.parquet").exists()
    (tmp_path / "payments.ndjson").write_bytes(payment() + b"\n" + payment(event_id="tx-0", recurring=None))
    out = tmp_path / "payments.parquet"
    summary = write_features(PAYMENT, Source(tmp_path / "payments.ndjson"), out, lambda _: None)
    assert (summary.written, summary.refused) == (1, 1)
    assert pq.read_table(out).column_names == ["event_id", *PAYMENT.features.names]


def test_the_matrix_is_parquet(tmp_path: Path) -> None:
    """Another format is refused before anything is read."""
    with pytest.raises(DataError, match=r"out\.csv: expected a file named \.parquet"):
        write_features(TRANSACTION, Source(tmp_path / "none"), tmp_path / "out.csv", lambda _: None)
