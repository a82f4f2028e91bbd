"""Events of a file, oldest first, each with what was known of its entities at its own time."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from streamscore.core.events.decode import DeadLetter, Entry, Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Columns, microseconds
from streamscore.core.events.label import label_columns, label_type
from streamscore.core.events.record import END_OF_TIME, Record
from streamscore.core.history.entity_history import EntityHistory
from streamscore.errors import DataError
from streamscore.files.external_sort import in_order, up_to
from streamscore.files.output import ARROW_TYPES
from streamscore.files.read import LONGEST_ROW, Labelled, labelled_lines, value_types, wire_lines
from streamscore.files.rows import row_entries, with_label

# Rows that are refused are told one by one up to this many; all are counted.
NAMED = 10
LIMITS = Limits()
# Rows between two lines of progress.
PROGRESS_EVERY = 200_000

OnProgress = Callable[[str], None]


LabelsUntil = Callable[[pa.Table], Iterator[Columns]]


class Source(NamedTuple):
    """A file of events, the file of their labels if there is one, and the time of rows that have none.

    `labelled` says that without a file of labels those of the rows themselves are known when mature.
    """

    events: Path
    labels: Path | None = None
    occurred_at: datetime | None = None
    labelled: bool = True


class AsOf(NamedTuple):
    """Events in the order of time and id, with the columns of their history; and rows refused meanwhile."""

    events: list[Entry]
    columns: Columns
    refused: list[Entry]


@dataclass
class _Reading:
    """A file being read: what its rows are, which of their times orders them, and how far it is."""

    path: Path
    event_type: EventType
    order_by: str
    told: OnProgress
    now: datetime = END_OF_TIME
    limits: Limits = LIMITS
    read: int = 0
    refused: int = 0
    untold: list[Entry] = field(default_factory=list)

    def tables(self, chunks: Iterable[Labelled]) -> Iterator[pa.Table]:
        """Valid rows with their time, id, label and line."""
        for lines, labels in chunks:
            entries = row_entries(self.event_type, lines, self.path.stem, self.read, self.now, self.limits)
            entries = [with_label(e, self.event_type, label) for e, label in zip(entries, labels, strict=True)]
            for entry in entries:
                if entry.dead_letter is not None:
                    self._refuse(entry, entry.dead_letter)
            valid = [row for row, entry in enumerate(entries) if entry.event is not None]
            events: list[Any] = [entries[row].event for row in valid]
            columns = {
                "at": pa.array(microseconds([getattr(event, self.order_by) for event in events])),
                "event_id": pa.array(
                    [e.event_id for e in events], ARROW_TYPES[value_types(self.event_type)["event_id"]]
                ),
                "row": pa.array([entries[row].record.offset for row in valid], pa.int64()),
                "label": pa.array([labels[row] for row in valid], pa.bool_()),
                "line": pa.array([lines[row] for row in valid], pa.binary()),
            }
            self._count(len(lines))
            yield pa.table(columns)

    def _count(self, rows: int) -> None:
        if (self.read + rows) // PROGRESS_EVERY > self.read // PROGRESS_EVERY:
            self.told(f"{self.path.name}: {self.read + rows:,} rows read")
        self.read += rows

    def _refuse(self, entry: Entry, why: DeadLetter) -> None:
        row = entry.record.offset
        if self.refused < NAMED:
            self.told(f"{self.path.name}: row {row} is refused: {error_of(why)}")
        self.refused += 1
        # Without its bytes: there may be many.
        self.untold.append(Entry(Record(entry.record.topic, 0, row, -1, None, None, None), None, -1.0, why))


@dataclass
class Reader:
    """A file of events being read as of their own times, and how far that is.

    Rows may come in any order. A label that a row itself has was known `maturity` after its event. A row
    that is no event is told. DataError when a file cannot be read, or labels are needed and there are none.
    """

    event_type: EventType
    source: Source
    told: OnProgress
    now: datetime = END_OF_TIME
    limits: Limits = LIMITS

    def __post_init__(self) -> None:
        source = self.source
        risk = any(aggregate.kind == "risk" for aggregate in self.event_type.history)
        self._own = source.labels is None and source.labelled and risk
        self._events = _Reading(source.events, self.event_type, "occurred_at", self.told, self.now, self.limits)
        labels = label_type(self.event_type)
        self._labels = _Reading(source.labels or source.events, labels, "labelled_at", self.told)
        self.history = EntityHistory(self.event_type)

    @property
    def read(self) -> int:
        """Rows of events read."""
        return self._events.read

    @property
    def refused(self) -> int:
        """Rows of events and labels refused."""
        return self._events.refused + self._labels.refused

    def chunks(self) -> Iterator[AsOf]:
        """All events, oldest first."""
        with tempfile.TemporaryDirectory() as folder:
            until = self._until(Path(folder))
            for rows in in_order(self._events.tables(_chunks(self.event_type, self.source, self._own)), Path(folder)):
                for known in until(rows):
                    self.history.fold_labels(known)
                events = _entries(self.event_type, rows)
                columns = self.history.following(self.event_type.columns([entry.event for entry in events]))
                yield AsOf(events, columns, self._untold())
            yield AsOf([], self.history.following(self.event_type.columns([])), self._untold())

    def check_labels(self) -> None:
        """DataError when a file of labels has rows and none of them is a label: risks would all be 0."""
        if self.source.labels and 0 < self._labels.read == self._labels.refused:
            raise DataError(f"{self.source.labels}: every row is refused, so no label is known")

    def _untold(self) -> list[Entry]:
        untold, self._events.untold = self._events.untold, []
        return untold

    def _until(self, folder: Path) -> LabelsUntil:
        """The function that gives the labels known by the last of some rows."""
        if self._own:
            return _own_labels(self.event_type)
        return _labels_of(self._labels, folder) if self.source.labels else _no_labels


def error_of(why: DeadLetter) -> str:
    """Why a row was refused, in a line."""
    return ": ".join(part for part in (why.reason, why.field, why.error) if part)


def _chunks(event_type: EventType, source: Source, own: bool) -> Iterator[Labelled]:
    if own:
        yield from labelled_lines(source.events, event_type, source.occurred_at)
    else:
        yield from _unlabelled(wire_lines(source.events, event_type, source.occurred_at))


def _unlabelled(chunks: Iterable[list[bytes]]) -> Iterator[Labelled]:
    return (Labelled(lines, [None] * len(lines)) for lines in chunks)


def _events(event_type: EventType, rows: pa.Table) -> list[Any]:
    return [entry.event for entry in _entries(event_type, rows)]


def _entries(event_type: EventType, rows: pa.Table) -> list[Entry]:
    """Sorted rows as entries again, each with the number of its row as offset."""
    records = [
        Record("file", 0, row, -1, None, line, None)
        for row, line in zip(rows["row"].to_pylist(), rows["line"].to_pylist(), strict=True)
    ]
    return decode(event_type, records, END_OF_TIME, Limits(max_bytes=LONGEST_ROW))


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
    known = up_to(in_order(reading.tables(chunks), folder / "labels"))

    def until(rows: pa.Table) -> Iterator[Columns]:
        for table in known(rows["at"][-1].as_py()):
            yield label_columns(reading.event_type, _events(reading.event_type, table))

    return until
