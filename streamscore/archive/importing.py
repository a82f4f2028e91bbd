"""A file of labelled events turned into an archive."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streamscore.archive.schemas import Schemas, schemas
from streamscore.core.events.decode import DeadLetter, Entry, Limits
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import microseconds
from streamscore.core.events.record import Record
from streamscore.errors import DataError
from streamscore.files.output import table, whole_file
from streamscore.files.read import glance, labelled_lines
from streamscore.files.rows import row_entries, with_label

# Rows of an imported row group: readers are slow with many small ones.
CHUNK = 32_768


Columns = dict[str, np.ndarray]


Refusal = tuple[Record, DeadLetter]


# Row numbers, columns by name, and which rows have a label that is known.
Write = Callable[[np.ndarray, Columns, np.ndarray], None]


class Imported(NamedTuple):
    """How many events and labels an import wrote, and how many rows it refused."""

    events: int
    labels: int
    refused: int


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
