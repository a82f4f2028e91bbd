"""Files become wire JSON: typed values, text ids, missing values, and errors that name what is wrong."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import Meta, Struct, field

from streamscore.core.events.decode import Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import Feature, FeatureSet, as_is
from streamscore.core.events.field import known
from streamscore.core.events.record import Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import DataError
from streamscore.files.read import LONGEST_ROW, glance, labelled_lines, value_types, wire_lines
from streamscore.simulator import streams as simulator

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Claim(Struct, frozen=True, gc=False):
    """One of each kind of field."""

    event_id: str = field(name="claim_id")
    occurred_at: Annotated[datetime, Meta(tz=True)]
    amount: float
    visits: int
    urgent: bool
    grade: Literal[1, 2] | None = None
    region: Annotated[str, Meta(extra=known("north"))] | None = None
    age: int | None = None


CLAIM = EventType(
    name="claim",
    struct=Claim,
    entities=("event_id",),
    label="is_false",
    features=FeatureSet((Feature("amount", ("amount",), as_is, "amount"),)),
)
ROW: dict[str, Any] = {
    "claim_id": "00123",
    "occurred_at": np.datetime64("2026-01-31T12:00:00", "us"),
    "amount": 2.5,
    "visits": 3,
    "urgent": True,
}
WIRE = {"claim_id": "00123", "occurred_at": "2026-01-31T12:00:00.000000Z", "amount": 2.5, "visits": 3, "urgent": True}
HEADER = "claim_id,occurred_at,amount,visits,urgent,grade,region,age,is_false\n"


def parquet(folder: Path, **changes: Any) -> Path:
    """A parquet file of one row like ROW, with columns changed, added, or left out where `...`."""
    row = {name: value for name, value in (ROW | changes).items() if value is not ...}
    arrays = {name: value if isinstance(value, pa.Array) else pa.array([value]) for name, value in row.items()}
    path = folder / "claims.parquet"
    pq.write_table(pa.table(arrays), path)
    return path


def text(folder: Path, content: str | bytes, name: str = "claims.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(path: Path, event_type: EventType = CLAIM, occurred_at: datetime | None = None) -> list[dict[str, Any]]:
    return [json.loads(line) for lines in wire_lines(path, event_type, occurred_at) for line in lines]


def verdicts(lines: Sequence[bytes], event_type: EventType = CLAIM) -> list[tuple[str, str] | None]:
    """The reason and field of each line's dead letter; None for an event."""
    records = [Record("t", 0, row, -1, None, line, None) for row, line in enumerate(lines)]
    found = [entry.dead_letter for entry in decode(event_type, records, NOW, Limits())]
    return [None if why is None else (why.reason, why.field) for why in found]


def test_value_types() -> None:
    """Optional, annotated and literal fields have the type of their values."""
    types = {"event_id": str, "occurred_at": datetime, "amount": float, "visits": int, "urgent": bool}
    assert value_types(CLAIM) == types | {"grade": int, "region": str, "age": int}


def test_a_parquet_row_on_the_wire(tmp_path: Path) -> None:
    """Wire names, a naive time as UTC, text ids as they are, undeclared and missing columns left out."""
    assert rows(parquet(tmp_path, is_false=True, note="x")) == [WIRE]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("visits", 3.0, 3),
        ("visits", Decimal(3), 3),
        ("visits", "3", 3),
        ("visits", "3.0", 3),
        ("visits", 2**53 + 1, 2**53 + 1),
        ("amount", 7, 7),
        ("amount", Decimal("0.10"), 0.1),
        ("amount", np.float32(0.5), 0.5),
        ("urgent", 0, False),
        ("urgent", 1.0, True),
        ("urgent", "False", False),
        ("occurred_at", date(2026, 1, 31), "2026-01-31T00:00:00.000000Z"),
        ("occurred_at", pd.Timestamp("2026-01-31T12:00:00.123456789"), "2026-01-31T12:00:00.123456Z"),
        ("occurred_at", pd.Timestamp("2026-01-31T12:00+02:00"), "2026-01-31T10:00:00.000000Z"),
        ("occurred_at", "2026-01-31", "2026-01-31T00:00:00Z"),
        ("occurred_at", "2026-01-31 12:00:00.5", "2026-01-31T12:00:00.5Z"),
        ("claim_id", b"c-1", "c-1"),
        ("claim_id", pa.array(["c-2"]).dictionary_encode(), "c-2"),
    ],
)
def test_values_take_the_type_of_their_field(tmp_path: Path, column: str, value: Any, expected: Any) -> None:
    """Whatever a file keeps a good value as, it is an event on the wire."""
    path = parquet(tmp_path, **{column: value})
    assert [(row[column], type(row[column])) for row in rows(path)] == [(expected, type(expected))]
    assert [verdicts(lines) for lines in wire_lines(path, CLAIM)] == [[None]]


@pytest.mark.parametrize(
    ("column", "value", "verdict"),
    [
        ("visits", 3.5, "wrong_type"),
        ("visits", 1e300, "wrong_type"),
        ("visits", "many", "wrong_type"),
        ("visits", "9" * 5000, "wrong_type"),
        ("visits", pa.array([None], pa.int64()), "empty"),
        ("amount", float("nan"), "empty"),
        ("amount", float("inf"), "wrong_type"),
        ("amount", "1_000", "wrong_type"),
        ("amount", "1e999", "wrong_type"),
        ("urgent", 2, "wrong_type"),
        ("urgent", [True], "wrong_type"),
        ("age", float("inf"), "wrong_type"),
        ("claim_id", 123, "wrong_type"),
        ("claim_id", pa.array([None], pa.string()), "empty"),
        ("occurred_at", 1_700_000_000, "wrong_type"),
        ("occurred_at", "yesterday", "wrong_type"),
        ("occurred_at", pa.array([None], pa.timestamp("ns")), "empty"),
    ],
)
def test_bad_values_travel_and_are_refused(tmp_path: Path, column: str, value: Any, verdict: str) -> None:
    """A bad value is no error of the file: decoding refuses the row by its field."""
    (lines,) = wire_lines(parquet(tmp_path, **{column: value}), CLAIM)
    assert verdicts(lines) == [(verdict, column)]


@pytest.mark.parametrize("missing", [float("nan"), pa.array([None], pa.int64()), pa.array([None])])
def test_missing_optional_values_are_left_out(tmp_path: Path, missing: Any) -> None:
    """NaN and null of an optional field are an absent key, not a null."""
    assert rows(parquet(tmp_path, age=missing, region=pa.array([None], pa.string()))) == [WIRE]


def test_csv_keeps_text_as_text(tmp_path: Path) -> None:
    """Ids keep their zeros, quoted or not; numbers, flags and times are converted; empty cells are missing."""
    content = '00123,2026-01-31 12:00:00,2.5,3,1,,"",,0\n"00124",2026-01-31T12:00:00Z,1e2,+4,true,2,NA,41.0,1\n'
    first, second = rows(text(tmp_path, HEADER + content))
    assert first == WIRE | {"occurred_at": "2026-01-31T12:00:00Z"}
    assert second == first | {"claim_id": "00124", "amount": 100.0, "visits": 4, "grade": 2, "region": "NA", "age": 41}


def test_csv_bad_values_travel(tmp_path: Path) -> None:
    """A text in a column of numbers does not change its neighbours, and decoding refuses its row only."""
    content = (
        "a,2026-01-31,2.5,3,1\nb,2026-01-31,lots,3,1\nc,2026-01-31,2.5,0x3,1\nd,,2.5,3,maybe\ne,2026-01-31,2,3,0\n"
    )
    path = text(tmp_path, "claim_id,occurred_at,amount,visits,urgent\n" + content)
    (lines,) = wire_lines(path, CLAIM)
    refused = [None, ("wrong_type", "amount"), ("wrong_type", "visits"), ("empty", "occurred_at"), None]
    assert verdicts(lines) == refused


def test_csv_quoting(tmp_path: Path) -> None:
    """Line ends, commas and quotes inside quotes, a byte order mark, CRLF and blank lines."""
    content = '\ufeff"claim_id",occurred_at,amount,visits,urgent\r\n"a,""\n",2026-01-31,1,1,1\r\n\r\nb,2026-01-31,1,1,1'
    assert [row["claim_id"] for row in rows(text(tmp_path, content))] == ['a,"\n', "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "needs one column 'claim_id'"),
        (HEADER.encode() + b"a,b\n", "Row #2: Expected 9 columns, got 2$"),
        (HEADER.encode() + b"\xff,2026-01-31,1,1,1,,,,\n", "not UTF-8"),
        (HEADER.encode("utf-16"), "not UTF-8"),
        (HEADER.replace("visits", "claim_id").encode(), "needs one column 'claim_id'"),
        (HEADER.encode() + b'"' + b"x" * LONGEST_ROW, "a row is too long"),
        (b"x" * 200_000, "not what its name says"),
    ],
)
def test_a_damaged_csv(tmp_path: Path, content: bytes, message: str) -> None:
    """A file that is no such CSV is a DataError that quotes none of it."""
    with pytest.raises(DataError, match=message) as caught:
        rows(text(tmp_path, content))
    assert "xx" not in str(caught.value)


def test_ndjson_passes_byte_for_byte(tmp_path: Path) -> None:
    """Lines are not parsed: odd spaces, bad JSON and bad UTF-8 travel; blank lines do not."""
    lines = [b'{"claim_id" : "1"}\r', b"not json", b"\xff\xfe", b'{"claim_id":"1"}']
    for name in ("a.ndjson", "a.JSONL"):
        path = text(tmp_path, b"\n".join([lines[0], b"", *lines[1:], b"  ", b""]), name)
        assert list(wire_lines(path, CLAIM)) == [lines]


def test_a_line_too_long(tmp_path: Path) -> None:
    """A line that could fill the memory is an error of the file."""
    with pytest.raises(DataError, match="a row is too long"):
        rows(text(tmp_path, b"x" * LONGEST_ROW, "a.ndjson"))


@pytest.mark.parametrize("name", ["a.ndjson", "a.csv", "a.parquet"])
def test_no_rows(tmp_path: Path, name: str) -> None:
    """A file without rows gives none."""
    path = tmp_path / name
    if name == "a.parquet":
        pq.write_table(pa.table({name: pa.array([], pa.string()) for name in ROW}), path)
    else:
        path.write_text("" if name == "a.ndjson" else HEADER)
    assert rows(path) == []


@pytest.mark.parametrize("name", ["a.ndjson", "a.csv", "a.parquet"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    """A file that is not there is a DataError that names it."""
    with pytest.raises(DataError, match=f"{name}: No such file"):
        rows(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_damaged_parquet(tmp_path: Path, content: bytes) -> None:
    """Bytes that are no parquet file are a DataError."""
    with pytest.raises(DataError, match="not what its name says, or damaged"):
        rows(text(tmp_path, content, "a.parquet"))


@pytest.mark.parametrize("name", ["a.json", "a.csv.gz", "a", "a.xlsx"])
def test_another_extension(tmp_path: Path, name: str) -> None:
    """Only three formats are read, and the error lists their names."""
    with pytest.raises(DataError, match=r"expected a file named \.parquet, \.csv, \.ndjson or \.jsonl"):
        rows(text(tmp_path, b"", name))


def test_a_required_column_is_missing(tmp_path: Path) -> None:
    """The error names the column as it should stand in the file."""
    with pytest.raises(DataError, match=r"needs one column 'claim_id', a field of claim events$"):
        rows(parquet(tmp_path, claim_id=...))


def test_a_time_for_files_without_one(tmp_path: Path) -> None:
    """A given time stands in for an absent column, and never for one that is there."""
    zoned = datetime(2026, 2, 1, tzinfo=UTC)
    naive = zoned.replace(tzinfo=None)
    assert rows(parquet(tmp_path), occurred_at=naive) == [WIRE]
    path = parquet(tmp_path, occurred_at=...)
    for given in (naive, zoned):
        assert rows(path, occurred_at=given) == [WIRE | {"occurred_at": "2026-02-01T00:00:00Z"}]
    with pytest.raises(DataError, match=r"needs one column 'occurred_at'.* or a time to stand in for it"):
        rows(path)


@pytest.mark.parametrize("name", ["a.ndjson", "a.csv", "a.parquet"])
def test_chunks_are_bounded_and_in_order(tmp_path: Path, name: str) -> None:
    """No chunk is longer than asked for, and together they are the file."""
    simulated = simulator.transactions(1000, 1_735_689_600_000_000, 1.0, 1)
    lines = simulator.json_lines(TRANSACTION, simulated)
    frame = pd.DataFrame([json.loads(line) for line in lines])
    path = tmp_path / name
    if name == "a.ndjson":
        path.write_bytes(b"\n".join(lines))
    elif name == "a.csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    chunks = list(wire_lines(path, TRANSACTION, chunk=300))
    assert max(map(len, chunks)) <= 300
    assert [json.loads(line) for chunk in chunks for line in chunk] == [json.loads(line) for line in lines]


@pytest.mark.parametrize("name", ["a.ndjson", "a.csv"])
def test_labels(tmp_path: Path, name: str) -> None:
    """Labels are flags, missing, or as they were found; they never travel."""
    labels = ["1", "0", "true", "false", "", "perhaps"]
    if name == "a.csv":
        content = HEADER + "".join(f"a,2026-01-31,1,1,1,,,,{label}\n" for label in labels)
    else:
        content = "".join(f'{{"is_false":{label or "null"}}}\n' for label in labels[:-1]) + '{"is_false":"perhaps"}\n[]'
    (chunk,) = labelled_lines(text(tmp_path, content, name), CLAIM)
    assert chunk.labels[:6] == [True, False, True, False, None, "perhaps"]
    assert name == "a.ndjson" or not any(b"is_false" in line for line in chunk.lines)


def test_a_label_column_is_missing(tmp_path: Path) -> None:
    """A table without the label's column is a DataError that names it."""
    with pytest.raises(DataError, match="needs one column 'is_false', the label of claim events"):
        list(labelled_lines(parquet(tmp_path), CLAIM))


def test_glance_never_raises() -> None:
    """A line that is no object, or has another type there, gives None for every key asked for."""
    look = glance(id=("claim_id", str))
    lines = [b'{"claim_id":"7","x":[]}', b'{"claim_id":7}', b"{}", b"[]", b"\xff", b"", b"[" * 100_000]
    assert [look(line).id for line in lines] == ["7", None, None, None, None, None, None]
