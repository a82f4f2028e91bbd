"""Events of one type from files of rows: each row becomes the JSON it would have been on the wire.

Columns carry the event's wire names. What is wrong with a file is a DataError; what is wrong with a
row is not: it travels as it stands, and decoding makes a dead letter of it. Values are converted a
column of a chunk at a time, but what becomes of a value never depends on its neighbours.
"""

import csv
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Field
from streamscore.errors import DataError
from streamscore.files.json_values import flag, json_values

NDJSON = (".ndjson", ".jsonl")
FORMATS = (".parquet", ".csv", *NDJSON)
# Longer than any event a worker can be set to take; without a limit one line could fill the memory.
LONGEST_ROW = 16 << 20

Batches = Callable[[Sequence[str], int], Iterator[pa.RecordBatch]]


class Labelled(NamedTuple):
    """A chunk of rows as wire JSON; a label is True, False, None where missing, or what else was found."""

    lines: list[bytes]
    labels: list[Any]


def wire_lines(
    path: Path, event_type: EventType, occurred_at: datetime | None = None, chunk: int = 8192
) -> Iterator[list[bytes]]:
    """The rows of a parquet, CSV or NDJSON file as wire JSON, up to `chunk` at a time.

    `occurred_at` stands in for that column where a parquet or CSV file has none. Times without a
    zone are UTC; missing optional values and undeclared columns are left out. Lines of NDJSON pass
    byte for byte, blank ones aside. DataError when the file cannot be read or lacks a column.
    """
    if suffix_of(path) in NDJSON:
        yield from _json_lines(path, chunk)
    else:
        yield from (rows.lines for rows in _table_rows(path, event_type, occurred_at, chunk, None))


def labelled_lines(
    path: Path, event_type: EventType, occurred_at: datetime | None = None, chunk: int = 8192
) -> Iterator[Labelled]:
    """As `wire_lines`, with each row's label; DataError also when a table has no column for it."""
    if suffix_of(path) in NDJSON:
        look = glance(label=(event_type.label, Any))
        for lines in _json_lines(path, chunk):
            yield Labelled(lines, [flag(look(line).label) for line in lines])
    else:
        yield from _table_rows(path, event_type, occurred_at, chunk, event_type.label)


def glance(**fields: tuple[str, Any]) -> Callable[[bytes], Any]:
    """A quick decoder of a few keys of a line, given as name=(wire name, type).

    All are None in a line that is no JSON object, or has a value of another type for one of them.
    """
    struct = msgspec.defstruct(
        "Glance",
        [(name, kind | None, None) for name, (_, kind) in fields.items()],
        rename={name: wire_name for name, (wire_name, _) in fields.items()},
        frozen=True,
    )
    decode, nothing = msgspec.json.Decoder(struct).decode, struct()

    def look(line: bytes) -> Any:
        try:
            return decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return nothing

    return look


def value_types(event_type: EventType) -> dict[str, type]:
    """str, int, float, bool or datetime: what the values of each field are, by field name."""
    return {field.name: field.value_type for field in event_type.fields}


def suffix_of(path: Path) -> str:
    """The extension that says what a file holds; DataError when it is none of ours."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"{path}: expected a file named .parquet, .csv, .ndjson or .jsonl")
    return suffix


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """What the readers raise as DataError, without the values that their messages quote."""
    try:
        yield
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8") from None
    except (pa.ArrowException, csv.Error, OSError) as error:
        raise DataError(f"{path}: {_said(error)}") from None


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    text = str(error)
    ragged = re.search(r"Row #\d+: Expected \d+ columns, got \d+", text)
    if ragged:
        return ragged[0]
    known = {"straddling": "a row is too long", "UTF8": "not UTF-8", "Empty CSV": "the file is empty"}
    return next((ours for theirs, ours in known.items() if theirs in text), "not what its name says, or damaged")


def _opened(path: Path) -> tuple[list[str], Batches]:
    """The columns of a parquet or CSV file, and how to read some of them."""
    if suffix_of(path) == ".parquet":
        file = pq.ParquetFile(path, buffer_size=1 << 20)
        return file.schema_arrow.names, lambda columns, chunk: file.iter_batches(chunk, columns=columns)
    with path.open(newline="", encoding="utf-8-sig") as text:
        return next(csv.reader(text), []), lambda columns, chunk: _csv_batches(path, columns, chunk)


def _table_rows(
    path: Path, event_type: EventType, occurred_at: datetime | None, chunk: int, label: str | None
) -> Iterator[Labelled]:
    """The rows of a parquet or CSV file; their labels only where the label's column is given."""
    with _refusing(path):
        names, batches = _opened(path)
        if label and names.count(label) != 1:
            raise DataError(f"{path} needs one column {label!r}, the label of {event_type.name} events")
        columns, encoded = _encoder(path, event_type, names, occurred_at)
        for batch in batches([*columns, label] if label else columns, chunk):
            yield Labelled(encoded(batch), json_values(batch.column(label), bool) if label else [])


def _csv_batches(path: Path, columns: Sequence[str], chunk: int) -> Iterator[pa.RecordBatch]:
    """Every column as text: a reader that guesses takes the zeros from an id such as 00123."""
    reader = pa.csv.open_csv(
        path,
        pa.csv.ReadOptions(use_threads=False, block_size=LONGEST_ROW // 4),
        pa.csv.ParseOptions(newlines_in_values=True),
        pa.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            include_columns=columns,
            null_values=[""],  # quoted or not: many programs quote every cell
            strings_can_be_null=True,
        ),
    )
    for batch in reader:
        yield from (batch.slice(start, chunk) for start in range(0, batch.num_rows, chunk))


def _json_lines(path: Path, chunk: int) -> Iterator[list[bytes]]:
    lines: list[bytes] = []
    size = 0
    with _refusing(path), path.open("rb") as file:
        while line := file.readline(LONGEST_ROW):
            if len(line) == LONGEST_ROW:
                raise DataError(f"{path}: a row is too long")
            if line.strip():
                lines.append(line.removesuffix(b"\n"))
                size += len(line)
            if len(lines) == chunk or size > LONGEST_ROW:
                yield lines
                lines, size = [], 0
    if lines:
        yield lines


def _encoder(
    path: Path, event_type: EventType, names: Sequence[str], occurred_at: datetime | None
) -> tuple[list[str], Callable[[pa.RecordBatch], list[bytes]]]:
    """The declared columns that a file has, and the function that writes a batch of them as wire JSON."""
    columns = [field.wire_name for field in event_type.fields if field.wire_name in names]
    required = [field for field in event_type.fields if not field.optional]
    fields = [*required, *(field for field in event_type.fields if field.optional and field.wire_name in names)]
    for field in fields:
        stands_in = field.name == "occurred_at" and occurred_at is not None
        if names.count(field.wire_name) != 1 and not (stands_in and field.wire_name not in names):
            hint = ", or a time to stand in for it" if field.name == "occurred_at" else ""
            raise DataError(f"{path} needs one column {field.wire_name!r}, a field of {event_type.name} events{hint}")
    encode_row = row_encoder(fields)
    types = value_types(event_type)
    stand_in = occurred_at and (occurred_at if occurred_at.tzinfo else occurred_at.replace(tzinfo=UTC))

    def encoded(batch: pa.RecordBatch) -> list[bytes]:
        values = (
            json_values(batch.column(field.wire_name), types[field.name])
            if field.wire_name in names
            else repeat(stand_in)
            for field in fields
        )
        return list(map(encode_row, *values))

    return columns, encoded


def row_encoder(fields: Sequence[Field]) -> Callable[..., bytes]:
    """The function that writes a row's values, one for each field, as wire JSON.

    An optional value that is None is left out. A required one is written as null, and left out where it is UNSET.
    """
    row = msgspec.defstruct(
        "Row",
        [(field.name, Any, None) if field.optional else (field.name, Any) for field in fields],
        rename={field.name: field.wire_name for field in fields},
        omit_defaults=True,
        gc=False,
    )
    encode = msgspec.json.Encoder(decimal_format="number").encode
    return lambda *values: encode(row(*values))
