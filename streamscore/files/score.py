"""Score a file into a file, by the road that live events take, without Kafka."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from streamscore.core.events.decode import Entry, Limits
from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.batch import SHAPES
from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.pipeline import Prepared, conclude, judge, no_history, prepare
from streamscore.files.as_of import Reader, error_of
from streamscore.files.output import ARROW_TYPES, table, whole_file
from streamscore.files.read import NDJSON, suffix_of, value_types
from streamscore.files.rows import row_entries

WriteTable = Callable[[pa.Table], Any]


class Summary(NamedTuple):
    """How many rows were read, scored and refused, and how many of the scored would raise an alert."""

    read: int
    scored: int
    refused: int
    alerts: int


class _Score(msgspec.Struct):
    """What a row of the output takes from a published score; the rest is the event's own."""

    risk: float
    decision: str
    model: str
    reasons: msgspec.Raw = msgspec.Raw(b"[]")


def score_file(bundle: Bundle, rows: Iterable[list[bytes]], out: Path, limits: Limits, now: datetime) -> Summary:
    """Score wire lines into a parquet, CSV or NDJSON file, one row per line and in their order.

    For event types without history; else as `score_batches`.
    """

    def batches() -> Iterator[Prepared]:
        read = 0
        for lines in _batches(rows):
            yield prepare(row_entries(bundle.event_type, lines, out.stem, read, now, limits), bundle, no_history)
            read += len(lines)

    return score_batches(bundle, batches(), out, now)


def as_of(bundle: Bundle, reader: Reader) -> Iterator[Prepared]:
    """The events of a file as of their own times, oldest first; each batch begins with the rows refused meanwhile."""
    for events, columns, refused in reader.chunks():
        matrix = bundle.features.matrix(columns, len(events))
        yield Prepared([*refused, *events], events, columns, matrix)


def score_batches(bundle: Bundle, batches: Iterable[Prepared], out: Path, now: datetime) -> Summary:
    """Score batches into a parquet, CSV or NDJSON file, one row per entry and in their order.

    Columns: row (from 0), event_id, the other entity ids, occurred_at, risk, decision, reasons (JSON),
    model, and error: null, or `reason: field: error` of a line that is no event, with null elsewhere.
    DataError when `out` has another extension or cannot be written; then nothing is left of it.
    """
    writer, schema = WRITERS[suffix_of(out)], _schema(bundle.event_type)
    read = refused = alerts = 0
    with whole_file(out) as file, writer(file, schema) as write:
        for prepared in batches:
            outcome = conclude(prepared, bundle, judge(bundle, prepared.matrix), now)
            published = [message.value or b"" for message in outcome.scores]
            write(table(schema, _columns(bundle.event_type, prepared.entries, published)))
            read += len(prepared.entries)
            refused += len(outcome.refused)
            alerts += len(outcome.alerts)
    return Summary(read, read - refused, refused, alerts)


def _batches(rows: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    """Lines in lists that are no longer than the largest batch a model is compiled for."""
    for lines in rows:
        yield from (lines[start : start + SHAPES[-1]] for start in range(0, len(lines), SHAPES[-1]))


def _identity(event_type: EventType) -> tuple[str, ...]:
    """The fields that say which event a row is about; the event's id may itself be an entity."""
    return tuple(dict.fromkeys(("event_id", *event_type.entities, "occurred_at")))


def _schema(event_type: EventType) -> pa.Schema:
    types = value_types(event_type)
    judged = [("decision", pa.string()), ("reasons", pa.string()), ("model", pa.string()), ("error", pa.string())]
    identity = [(name, ARROW_TYPES[types[name]]) for name in _identity(event_type)]
    return pa.schema([("row", pa.int64()), *identity, ("risk", pa.float64()), *judged])


def _columns(event_type: EventType, entries: Sequence[Entry], published: Iterable[bytes]) -> dict[str, list[Any]]:
    """The output's columns: `published` has the score of each entry with an event, in their order."""
    decode = msgspec.json.Decoder(_Score).decode
    scored = iter(published)
    scores = [None if entry.event is None else decode(next(scored)) for entry in entries]
    columns = {name: [getattr(entry.event, name, None) for entry in entries] for name in _identity(event_type)}
    for name in ("risk", "decision", "model"):
        columns[name] = [getattr(score, name, None) for score in scores]
    columns["row"] = [entry.record.offset for entry in entries]
    columns["reasons"] = [score and bytes(score.reasons).decode() for score in scores]
    columns["error"] = [entry.dead_letter and error_of(entry.dead_letter) for entry in entries]
    return columns


@contextmanager
def _parquet(file: BinaryIO, schema: pa.Schema) -> Iterator[WriteTable]:
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer.write_table


@contextmanager
def _csv(file: BinaryIO, schema: pa.Schema) -> Iterator[WriteTable]:
    with pa.csv.CSVWriter(file, schema) as writer:
        yield writer.write_table


@contextmanager
def _ndjson(file: BinaryIO, _: pa.Schema) -> Iterator[WriteTable]:
    encode = msgspec.json.Encoder().encode_lines

    def write(rows: pa.Table) -> None:
        lines = rows.to_pylist()
        file.write(encode([line | {"reasons": msgspec.Raw((line["reasons"] or "null").encode())} for line in lines]))

    yield write


WRITERS = {".parquet": _parquet, ".csv": _csv} | dict.fromkeys(NDJSON, _ndjson)
