"""Score a file into a file: one row per input row, by the road of live events, bad rows with their reason."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import Meta, Struct

from streamscore.core.events.decode import Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import Feature, FeatureSet, as_is
from streamscore.core.events.record import Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Bundle, Calibration, Contributions, Manifest, Thresholds
from streamscore.core.scoring.decision import Reason, Score
from streamscore.errors import DataError
from streamscore.files.read import wire_lines
from streamscore.files.score import Summary, score_file
from streamscore.simulator import streams as simulator
from tests.support.samples import process

START = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
NOW = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = ["row", "event_id", "customer_id", "terminal_id", "occurred_at"]
COLUMNS += ["risk", "decision", "reasons", "model", "error"]


class ByAmount:
    """A logistic scorer of the first feature, the amount; half of the risk is at 200."""

    device = "cpu"

    def __init__(self) -> None:
        self.largest = 0

    def risks(self, matrix: np.ndarray) -> np.ndarray:
        self.largest = max(self.largest, len(matrix))
        return (1 / (1 + np.exp(2 - matrix[:, 0] / 100))).astype(np.float32)

    def contributions(self, matrix: np.ndarray) -> Contributions:
        values = np.zeros(matrix.shape)
        values[:, 0] = matrix[:, 0] / 100
        return Contributions(values, np.zeros(len(matrix)))


def bundle(event_type: EventType = TRANSACTION) -> Bundle:
    manifest = Manifest(
        version="v7",
        event_type=event_type.name,
        features=event_type.features.names,
        calibration=Calibration(),
        thresholds=Thresholds(review=0.6, decline=0.9),
        trained_at=NOW,
        data={},
        metrics={},
        settings={},
        packages={},
    )
    return Bundle(manifest, event_type, event_type.features, ByAmount())


def lines(rows: int) -> list[bytes]:
    return simulator.json_lines(TRANSACTION, simulator.transactions(rows, START, 0.01, 3))


def changed(line: bytes, **values: Any) -> bytes:
    return json.dumps(json.loads(line) | values).encode()


def scored(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return rows


def test_rows_equal_the_published_scores(tmp_path: Path) -> None:
    """Risks, decisions, reasons and ids are those that the worker would publish for the same lines."""
    events = lines(300)
    out = tmp_path / "out.parquet"
    records = [Record("out", 0, row, -1, None, line, None) for row, line in enumerate(events)]
    entries = decode(TRANSACTION, records, NOW, Limits())
    outcome = process(entries, bundle())
    summary = score_file(bundle(), [events[:100], events[100:]], out, Limits(), NOW)
    assert summary == Summary(300, 300, 0, len(outcome.alerts))
    assert 0 < summary.alerts < 300
    published = [msgspec.json.decode(message.value or b"", type=Score) for message in outcome.scores]
    for row, score in zip(scored(out), published, strict=True):
        assert list(row) == COLUMNS
        assert (row["row"], row["event_id"], row["occurred_at"]) == (score.offset, score.event_id, score.occurred_at)
        assert {"customer_id": row["customer_id"], "terminal_id": row["terminal_id"]} == score.entities
        assert (row["risk"], row["decision"], row["model"], row["error"]) == (score.risk, score.decision, "v7", None)
        assert msgspec.json.decode(row["reasons"], type=tuple[Reason, ...]) == score.reasons


def test_reasons_of_alerts(tmp_path: Path) -> None:
    """A row above the review threshold says why, in codes, words and logits; the others have no reasons."""
    events = [changed(line, amount=amount) for line, amount in zip(lines(2), (10, 1000), strict=True)]
    score_file(bundle(), [events], tmp_path / "out.parquet", Limits(), NOW)
    low, high = scored(tmp_path / "out.parquet")
    assert (low["decision"], json.loads(low["reasons"])) == ("approve", [])
    reason = {"code": "amount", "text": "amount of 1,000.00", "contribution": 10.0}
    assert (high["decision"], json.loads(high["reasons"])) == ("decline", [reason])


def test_refused_rows_stand_in_their_place(tmp_path: Path) -> None:
    """A row that is no event has its number and why, nothing else; its neighbours and duplicates are scored."""
    good = lines(1)[0]
    bad = [b"{", b"[" * 100_000, b"x" * 100_000, b"\xff", changed(good, amount="4111111111111111")]
    bad += [changed(good, occurred_at="2026-01-02T00:00:00Z"), b"null"]
    summary = score_file(bundle(), [[good, *bad, good]], tmp_path / "out.parquet", Limits(), NOW)
    assert summary == Summary(9, 2, 7, summary.alerts)
    rows = scored(tmp_path / "out.parquet")
    assert [row["row"] for row in rows] == list(range(9))
    assert rows[0] | {"row": 8} == rows[8]
    assert [row["error"] for row in rows] == [
        None,
        "truncated: the value ends inside the document",
        "too_long: 100000 bytes, 65536 allowed",
        "too_long: 100000 bytes, 65536 allowed",
        "bad_json: not JSON at byte 0",
        "wrong_type: amount: expected float, got str",
        "in_future: occurred_at: occurred_at is more than 300 s ahead of the clock",
        "empty: null where a value is required",
        None,
    ]
    assert all(value is None for row in rows[1:8] for name, value in row.items() if name not in ("row", "error"))


def test_all_formats_say_the_same(tmp_path: Path) -> None:
    """CSV and NDJSON hold the rows of the parquet file, NDJSON with the reasons as a list."""
    events = [*lines(50), b"{", changed(lines(1)[0], amount=1000, event_id='a,"b"\n')]
    for name in ("out.parquet", "out.csv", "out.ndjson"):
        score_file(bundle(), [events], tmp_path / name, Limits(), NOW)
    rows = scored(tmp_path / "out.parquet")
    frame = pd.read_csv(tmp_path / "out.csv", parse_dates=["occurred_at"])
    assert list(frame) == COLUMNS
    as_text = frame.astype(object).where(frame.notna(), None).to_dict("records")
    assert as_text == rows
    for line, row in zip((tmp_path / "out.ndjson").read_text().splitlines(), rows, strict=True):
        found = json.loads(line)
        at = found["occurred_at"]
        assert list(found) == COLUMNS
        assert found | {"occurred_at": at and datetime.fromisoformat(at)} == row | {
            "reasons": row["reasons"] and json.loads(row["reasons"])
        }


def test_a_file_that_was_scored_from_csv(tmp_path: Path) -> None:
    """Rows of a CSV file go the same road: a text where a number is wanted is a refused row."""
    events = pd.DataFrame([json.loads(line) for line in lines(3)]).astype({"amount": object})
    events.loc[1, "amount"] = "lots"
    events.to_csv(tmp_path / "in.csv", index=False)
    rows = wire_lines(tmp_path / "in.csv", TRANSACTION)
    summary = score_file(bundle(), rows, tmp_path / "out.parquet", Limits(), NOW)
    assert (summary.read, summary.refused) == (3, 1)
    assert scored(tmp_path / "out.parquet")[1]["error"] == "wrong_type: amount: expected float, got str"


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.ndjson"])
@pytest.mark.parametrize("chunks", [[], [[]]])
def test_no_rows(tmp_path: Path, name: str, chunks: list[list[bytes]]) -> None:
    """Nothing in, a file without rows out."""
    assert score_file(bundle(), chunks, tmp_path / name, Limits(), NOW) == Summary(0, 0, 0, 0)
    if name == "out.parquet":
        assert pq.read_table(tmp_path / name).column_names == COLUMNS
    else:
        assert (tmp_path / name).read_text().count("\n") == (name == "out.csv")


def test_chunks_are_cut_to_batches(tmp_path: Path) -> None:
    """However many lines come at once, the model never gets more than its largest batch."""
    model = bundle()
    assert score_file(model, [lines(1) * 5000], tmp_path / "out.parquet", Limits(), NOW).scored == 5000
    assert isinstance(model.scorer, ByAmount)
    assert model.scorer.largest == 4096
    assert [row["row"] for row in scored(tmp_path / "out.parquet")] == list(range(5000))


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    """An input that turns out to be damaged leaves what stood there before."""

    def damaged() -> Any:
        yield lines(2)
        raise DataError("damaged")

    out = tmp_path / "out.csv"
    out.write_text("before")
    with pytest.raises(DataError, match="damaged"):
        score_file(bundle(), damaged(), out, Limits(), NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert out.read_text() == "before"


def test_another_extension(tmp_path: Path) -> None:
    """An output of unknown format is refused before anything is read."""
    with pytest.raises(DataError, match=r"out\.xlsx: expected a file named"):
        score_file(bundle(), iter([]), tmp_path / "out.xlsx", Limits(), NOW)


class Numbered(Struct, frozen=True, gc=False):
    """An event that is its own entity, with a number as id."""

    event_id: int
    occurred_at: Annotated[datetime, Meta(tz=True)]
    amount: float


def test_ids_that_are_numbers(tmp_path: Path) -> None:
    """An id that is its own entity is one column, of integers; one beyond 64 bits is a refused row."""
    amount = FeatureSet((Feature("amount", ("amount",), as_is, "amount"),))
    event_type = EventType("numbered", Numbered, ("event_id",), amount, "is_bad")
    events = [b'{"event_id":%d,"occurred_at":"2025-01-01T00:00:00Z","amount":1}' % (2**63 - 1 + row) for row in (0, 1)]
    score_file(bundle(event_type), [events], tmp_path / "out.parquet", Limits(), NOW)
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["row", "event_id", "occurred_at", *COLUMNS[5:]]
    assert table.schema.field("event_id").type == pa.int64()
    assert table["event_id"].to_pylist() == [2**63 - 1, None]
    assert table["error"].to_pylist() == [None, "out_of_range: event_id: an integer beyond 64 bits"]
