"""The archive: a folder of events and labels as parquet, from which models are trained.

`events/*.parquet` holds events with their Kafka coordinates; `labels/*.parquet` holds answers, each
with the time at which it became known. `schemas` says what every writer writes.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streamscore.core.catalogue import DeadLetter, Entry, Limits, decode
from streamscore.core.event import Field, Record, microseconds
from streamscore.core.event_type import EventType
from streamscore.errors import DataError
from streamscore.files import glance, labelled_lines, value_types
from streamscore.simulator import Simulated

TIME = pa.timestamp("us", "UTC")
ARROW_TYPES = {datetime: TIME, str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
KAFKA_FIELDS = (
    pa.field("kafka_topic", pa.string()),
    pa.field("kafka_partition", pa.int32()),
    pa.field("kafka_offset", pa.int64()),
    pa.field("kafka_timestamp", pa.timestamp("ms", "UTC")),
)
# Rows of an imported row group: readers are slow with many small ones.
CHUNK = 32_768
# What is asked of rows of a file beside each other does not depend on the clock.
END_OF_TIME = datetime.max.replace(tzinfo=UTC)

Columns = dict[str, np.ndarray]
Refusal = tuple[Record, DeadLetter]
# Row numbers, columns by name, and which rows have a label that is known.
Write = Callable[[np.ndarray, Columns, np.ndarray], None]


class Schemas(NamedTuple):
    """The columns of the files in `events` and of those in `labels`."""

    events: pa.Schema
    labels: pa.Schema


class Imported(NamedTuple):
    """How many events and labels an import wrote, and how many rows it refused."""

    events: int
    labels: int
    refused: int


def schemas(event_type: EventType) -> Schemas:
    """What an event type's archive holds: fields under their own names, not the wire's; all may be null."""
    fields = {name: pa.field(name, ARROW_TYPES[kind]) for name, kind in value_types(event_type).items()}
    answer = {"label": pa.field("label", pa.bool_()), "labelled_at": pa.field("labelled_at", TIME)}
    labels = {name: (fields | answer)[name] for name in ("event_id", "occurred_at", *answer, *event_type.entities)}
    return Schemas(pa.schema([*KAFKA_FIELDS, *fields.values()]), pa.schema([*KAFKA_FIELDS, *labels.values()]))


def table(schema: pa.Schema, columns: Mapping[str, Any]) -> pa.Table:
    """Columns by name as a table: None and NaN become null, integers in a column of times count its unit.

    DataError when a column does not fit its type.
    """
    try:
        return pa.table([pa.array(columns[field.name], field.type, from_pandas=True) for field in schema], schema)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        # Which value it was is not said: it may be a card number.
        raise DataError(f"values do not fit the columns {schema.names}") from None


def write_simulated(folder: Path, event_type: EventType, simulated: Simulated, known_until: int, part: str) -> None:
    """Write simulated events, and those of their labels known by `known_until` (µs since 1970 UTC).

    `part` names the two files, replacing what an earlier call wrote, and stands for the Kafka topic.
    """
    columns = simulated.columns | {"label": simulated.label, "labelled_at": simulated.labelled_at}
    with _part(folder, part, schemas(event_type)) as write:
        write(np.arange(len(simulated.label)), columns, simulated.labelled_at <= known_until)


def import_file(
    path: Path, folder: Path, event_type: EventType, label_delay: timedelta, occurred_at: datetime | None
) -> Imported:
    """Turn a file of labelled events into an archive; each label was known `label_delay` after its event.

    The file's stem stands for the Kafka topic, the number of a row, from 0, for the offset. A row
    without a label is an event only. A row that is no event, or whose label is neither true nor false,
    is listed in `refused.ndjson`; so is one ahead of the clock. The latest time of an archive says until when
    its labels are known: with one event of the year 2099, all young ones would pass for genuine.
    DataError as in `labelled_lines`; then nothing is written.
    """
    stem, delay, now = path.stem, label_delay // timedelta(microseconds=1), datetime.now(UTC)
    done = Imported(0, 0, 0)
    with _refusals(folder / "refused.ndjson", stem) as refuse, _part(folder, stem, schemas(event_type)) as write:
        for lines, labels in labelled_lines(path, event_type, occurred_at, CHUNK):
            entries = row_entries(event_type, lines, stem, done.events + done.refused, now, Limits())
            entries = [with_label(entry, event_type, label) for entry, label in zip(entries, labels, strict=True)]
            valid = [row for row, entry in enumerate(entries) if entry.event is not None]
            refused = [(entry.record, entry.dead_letter) for entry in entries if entry.dead_letter is not None]
            known = np.array([labels[row] is not None for row in valid], bool)
            refuse(refused)
            write(*_columns(event_type, [entries[row] for row in valid], [labels[row] for row in valid], delay), known)
            done = Imported(done.events + len(valid), done.labels + int(known.sum()), done.refused + len(refused))
        if done.events and not done.labels:
            # Without any answer, all of these events might pass for genuine.
            raise DataError(f"{path}: no row has a label {event_type.label!r}")
    return done


def row_entries(
    event_type: EventType, lines: Sequence[bytes], topic: str, first: int, now: datetime, limits: Limits
) -> list[Entry]:
    """Rows of a file as the entries of partition 0 of a topic, whose offsets are row numbers from `first`.

    An integer that a 64-bit column does not hold is out of range here.
    """
    records = [Record(topic, 0, row, -1, None, line, None) for row, line in enumerate(lines, first)]
    types = value_types(event_type)
    integers = [field for field in event_type.fields if types[field.name] is int]
    return [_fitting(entry, integers) for entry in decode(event_type, records, now, limits)]


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its place at `path` when all of it is written; after an error nothing is left, no new folder.

    DataError when it cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()
        with suppress(OSError):  # of folders that are not empty
            for folder in made:
                folder.rmdir()


@contextmanager
def _part(folder: Path, name: str, schema: Schemas) -> Iterator[Write]:
    """The function that writes rows to the two files of a part."""
    with (
        # The last one opened is the first to take its place: labels alone do no harm, while
        # events whose labels are not there yet would pass for genuine.
        _parquet(folder / "events" / f"{name}.parquet", schema.events) as events,
        _parquet(folder / "labels" / f"{name}.parquet", schema.labels) as labels,
    ):

        def write(offsets: np.ndarray, columns: Columns, known: np.ndarray) -> None:
            events(columns | _coordinates(name, offsets, columns["occurred_at"]))
            labelled = {column: values[known] for column, values in columns.items()}
            labels(labelled | _coordinates(name, offsets[known], labelled["labelled_at"]))

        yield write


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[Callable[[Columns], None]]:
    with whole_file(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield lambda columns: writer.write_table(table(schema, columns))


def _coordinates(topic: str, offsets: np.ndarray, at: np.ndarray) -> Columns:
    """The Kafka columns of rows at these offsets and times, in microseconds."""
    return {
        "kafka_topic": np.full(len(offsets), topic, object),
        "kafka_partition": np.zeros(len(offsets), np.int32),
        "kafka_offset": offsets,
        "kafka_timestamp": at // 1000,
    }


def _fitting(entry: Entry, integers: Sequence[Field]) -> Entry:
    for field in integers:
        value = getattr(entry.event, field.name, None)
        if value is not None and not -(1 << 63) <= value < 1 << 63:
            return _refused(entry, DeadLetter("out_of_range", field.wire_name, "an integer beyond 64 bits"))
    return entry


def with_label(entry: Entry, event_type: EventType, label: Any) -> Entry:
    """An entry as it is, or refused where its row has a label that is neither true, false nor missing."""
    if entry.event is None or label is None or isinstance(label, bool):
        return entry
    return _refused(entry, DeadLetter("wrong_type", event_type.label, "a label that is neither true nor false"))


def _refused(entry: Entry, why: DeadLetter) -> Entry:
    return Entry(entry.record, None, -1.0, why)


def _columns(
    event_type: EventType, entries: Sequence[Entry], labels: Sequence[bool | None], delay: int
) -> tuple[np.ndarray, Columns]:
    """The row numbers of events, and their fields and labels as columns; times in µs since 1970 UTC."""
    events: list[Any] = [entry.event for entry in entries]
    columns = {
        field.name: np.fromiter((getattr(event, field.name) for event in events), object, len(events))
        for field in event_type.fields
    }
    occurred_at = microseconds(columns["occurred_at"].tolist())
    columns |= {"occurred_at": occurred_at, "label": np.array(labels, object), "labelled_at": occurred_at + delay}
    return np.array([entry.record.offset for entry in entries], np.int64), columns


@contextmanager
def _refusals(path: Path, topic: str) -> Iterator[Callable[[Sequence[Refusal]], None]]:
    """The function that lists refused rows; those of other imports into the same folder are kept."""
    topic_of = glance(topic=("topic", str))
    with whole_file(path) as file:
        if path.exists():
            with path.open("rb") as before:
                file.writelines(line for line in before if topic_of(line).topic != topic)

        def refuse(refused: Sequence[Refusal]) -> None:
            lines = [{"topic": topic, "row": at.offset, **msgspec.structs.asdict(why)} for at, why in refused]
            file.write(msgspec.json.Encoder().encode_lines(lines))

        yield refuse
