"""The feature matrix of a file of events, each as of its own time, by the history that serves live events.

rows of any order → runs in event time → labels known by then → fold and query → parquet
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streamscore.archive import ARROW_TYPES, END_OF_TIME, row_entries, whole_file, with_label
from streamscore.core.catalogue import Limits
from streamscore.core.event import Columns, microseconds
from streamscore.core.event_type import EventType
from streamscore.core.history import EntityHistory
from streamscore.core.late_label import label_columns, label_type
from streamscore.errors import DataError
from streamscore.files import Labelled, labelled_lines, value_types, wire_lines
from streamscore.score_file import error_of
from streamscore.time_order import in_order

Told = Callable[[str], None]
LabelsUntil = Callable[[pa.Table], Iterator[Columns]]
# Rows that are refused are told one by one up to this many; all are counted.
NAMED = 10
TOLD_EVERY = 200_000


class Source(NamedTuple):
    """A file of events, the file of their labels if there is one, and the time of rows that have none."""

    events: Path
    labels: Path | None = None
    occurred_at: datetime | None = None


class Summary(NamedTuple):
    """How many rows were written, how many of them were repetitions, and how many rows were refused."""

    written: int
    repeated: int
    refused: int
    labels: int


@dataclass
class _Reading:
    """A file being read: what its rows are, which of their times orders them, and how far it is."""

    path: Path
    event_type: EventType
    order_by: str
    told: Told
    read: int = 0
    refused: int = 0

    def tables(self, chunks: Iterable[Labelled]) -> Iterator[pa.Table]:
        """Valid rows with their time, id, label and line."""
        for lines, labels in chunks:
            entries = row_entries(self.event_type, lines, self.path.stem, self.read, END_OF_TIME, Limits())
            entries = [with_label(e, self.event_type, label) for e, label in zip(entries, labels, strict=True)]
            for entry in entries:
                if entry.dead_letter is not None:
                    self._refuse(entry.record.offset, error_of(entry.dead_letter))
            valid = [row for row, entry in enumerate(entries) if entry.event is not None]
            events: list[Any] = [entries[row].event for row in valid]
            columns = {
                "at": pa.array(microseconds([getattr(event, self.order_by) for event in events])),
                "event_id": pa.array(
                    [e.event_id for e in events], ARROW_TYPES[value_types(self.event_type)["event_id"]]
                ),
                "label": pa.array([labels[row] for row in valid], pa.bool_()),
                "line": pa.array([lines[row] for row in valid], pa.binary()),
            }
            self._count(len(lines))
            yield pa.table(columns)

    def _count(self, rows: int) -> None:
        if (self.read + rows) // TOLD_EVERY > self.read // TOLD_EVERY:
            self.told(f"{self.path.name}: {self.read + rows:,} rows read")
        self.read += rows

    def _refuse(self, row: int, error: str) -> None:
        if self.refused < NAMED:
            self.told(f"{self.path.name}: row {row} is refused: {error}")
        self.refused += 1


def write_features(event_type: EventType, source: Source, out: Path, told: Told) -> Summary:
    """Write `event_id` and a float64 column for each feature, null where it is missing, in event-time order.

    Rows may come in any order. Without a file of labels, the label that a row has was known `maturity`
    after its event. A row that is no event is told and left out. DataError when a file cannot be read
    or written, or labels are needed and there are none.
    """
    if out.suffix.lower() != ".parquet":
        raise DataError(f"{out}: expected a file named .parquet")
    history, schema = EntityHistory(event_type), _schema(event_type)
    own = source.labels is None and any(aggregate.kind == "risk" for aggregate in event_type.history)
    reading = _Reading(source.events, event_type, "occurred_at", told)
    labels = _Reading(source.labels or source.events, label_type(event_type), "labelled_at", told)
    written = 0
    with tempfile.TemporaryDirectory() as folder, whole_file(out) as file:
        until = _own_labels(event_type) if own else _labels_of(labels, Path(folder)) if source.labels else _no_labels
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for rows in in_order(reading.tables(_chunks(event_type, source, own)), Path(folder)):
                for known in until(rows):
                    history.fold_labels(known)
                columns = history.following(event_type.columns(_events(event_type, rows)))
                writer.write_table(_table(event_type, rows, columns, schema))
                if (written + rows.num_rows) // TOLD_EVERY > written // TOLD_EVERY:
                    told(f"{out.name}: {written + rows.num_rows:,} of {reading.read - reading.refused:,} rows written")
                written += rows.num_rows
    refused = reading.refused + labels.refused
    return Summary(written, history.tally.duplicates, refused, history.tally.labels)


def _schema(event_type: EventType) -> pa.Schema:
    features = [(name, pa.float64()) for name in event_type.features.names]
    return pa.schema([("event_id", ARROW_TYPES[value_types(event_type)["event_id"]]), *features])


def _table(event_type: EventType, rows: pa.Table, columns: Columns, schema: pa.Schema) -> pa.Table:
    features = event_type.features.values(columns).values()
    arrays = [pa.array(np.asarray(values, np.float64), from_pandas=True) for values in features]
    return pa.table([rows["event_id"], *arrays], schema)


def _chunks(event_type: EventType, source: Source, own: bool) -> Iterator[Labelled]:
    if own:
        yield from labelled_lines(source.events, event_type, source.occurred_at)
    else:
        yield from _unlabelled(wire_lines(source.events, event_type, source.occurred_at))


def _unlabelled(chunks: Iterable[list[bytes]]) -> Iterator[Labelled]:
    return (Labelled(lines, [None] * len(lines)) for lines in chunks)


def _events(event_type: EventType, rows: pa.Table) -> list[Any]:
    lines = rows["line"].to_pylist()
    return [entry.event for entry in row_entries(event_type, lines, "", 0, END_OF_TIME, Limits())]


def _no_labels(_: pa.Table) -> Iterator[Columns]:
    return iter(())


def _own_labels(event_type: EventType) -> LabelsUntil:
    """The labels that rows have themselves; each is known when its event is mature."""
    maturity = event_type.maturity // timedelta(microseconds=1)

    def until(rows: pa.Table) -> Iterator[Columns]:
        labelled = rows.filter(rows["label"].is_valid())
        columns = event_type.columns(_events(event_type, labelled))
        label = labelled["label"].to_numpy()
        yield {**columns, "label": label, "labelled_at": columns["occurred_at"] + maturity}

    return until


def _labels_of(reading: _Reading, folder: Path) -> LabelsUntil:
    """The labels of a file, in the order in which they became known."""
    (folder / "labels").mkdir()
    chunks = _unlabelled(wire_lines(reading.path, reading.event_type))
    tables = in_order(reading.tables(chunks), folder / "labels")
    left = [next(tables, None)]

    def until(rows: pa.Table) -> Iterator[Columns]:
        time = rows["at"][-1].as_py()
        while (table := left[0]) is not None:
            count = int(np.searchsorted(table["at"].to_numpy(), time, side="right"))
            if count:
                yield label_columns(reading.event_type, _events(reading.event_type, table.slice(0, count)))
            left[0] = table.slice(count) if count < table.num_rows else next(tables, None)
            if count < table.num_rows:
                return

    return until
