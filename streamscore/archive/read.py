"""Reading an archive in bounded memory: the tables of an archiver, or the files of an import.

    folder → chosen columns and rows, as Arrow tables of some rows → `columns`: what features and history take

Rows come in no order. What was archived until a time is the same whenever it is asked for: rows that are added
later have later times of archiving, and writing files together changes no row.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamscore.archive.columns import batches, parquet_files
from streamscore.archive.delta import ARCHIVED_AT, Snapshot, Table, plain, snapshot, storage
from streamscore.archive.schemas import COORDINATES, schemas
from streamscore.core.events.aggregate import raw
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Columns, Field, column, raw_column
from streamscore.core.events.record import Partition
from streamscore.errors import DataError

# Rows of a batch, and batches and files that are read ahead: some tens of megabytes.
BATCH, AHEAD = 65_536, 2
# So long an append may take from its time of archiving until its rows can be read.
SETTLED = timedelta(seconds=60)
# What tells when a row of an import came to be known.
KNOWN_AT = "kafka_timestamp"


class Rows(NamedTuple):
    """Which rows: of events that occurred in [since, until), and as the archive held them at a time."""

    since: datetime | None = None
    until: datetime | None = None
    as_of: datetime | None = None


EVERY = Rows()


class Archive:
    """Events and labels of one type, as they are when it is opened; rows archived later are not seen."""

    def __init__(self, folder: str, event_type: EventType) -> None:
        """`folder` is an archive's URL, with or without the type's name, or that of an import.

        DataError without any events, or when its events and labels do not know entities by the same names.
        """
        self._schemas = schemas(event_type)
        own = f"{folder.rstrip('/')}/{event_type.name}"
        self._folder = own if _found(own)["events"] else folder
        self._found = _found(self._folder)
        if not self._found["events"]:
            raise DataError(f"{folder}/events holds neither a Delta table nor .parquet files")
        if len({found.key_id for found in self._found.values() if isinstance(found, Snapshot)}) > 1:
            raise DataError(
                f"{folder}: events and labels have pseudonyms of different keys, or only one of them has any"
            )

    @property
    def versions(self) -> dict[str, int]:
        """The versions of the Delta tables that are read."""
        return {name: found.version for name, found in self._found.items() if isinstance(found, Snapshot)}

    @property
    def places(self) -> tuple[str, ...]:
        """The columns of events that tell which of two came first, in a table whose files are written together."""
        return COORDINATES if isinstance(self._found["events"], Snapshot) else ()

    def events(self, columns: Sequence[str], rows: Rows = EVERY) -> Iterator[pa.Table]:
        """Columns of events, some rows at a time. DataError when `as_of` is so young that rows may come for it."""
        return self._read("events", self._schemas.events, columns, rows)

    def labels(self, columns: Sequence[str], rows: Rows = EVERY) -> Iterator[pa.Table]:
        """Columns of labels, some rows at a time; nothing while there are none."""
        return self._read("labels", self._schemas.labels, columns, rows)

    def table(self, name: str, schema: pa.Schema, wanted: pc.Expression) -> Iterator[pa.Table]:
        """Columns of those rows of another table of the type that are wanted; nothing while there is none."""
        found = snapshot(f"{self._folder}/{name}")
        return iter(()) if found is None else _of_table(found, schema, wanted)

    def _read(self, name: str, schema: pa.Schema, columns: Sequence[str], rows: Rows) -> Iterator[pa.Table]:
        found = self._found[name]
        if rows.as_of is not None and rows.as_of > datetime.now(UTC) - SETTLED:
            raise DataError(f"what the archive held at {rows.as_of} is not settled before {SETTLED.seconds} s later")
        if isinstance(found, Snapshot):
            return _of_table(
                found, pa.schema([schema.field(name) for name in columns]), _wanted(rows, ARCHIVED_AT.name)
            )
        return _of_files(found, schema, columns, rows)


def published(archive: Archive, version: str, rows: Rows = EVERY) -> Iterator[np.ndarray]:
    """The risks that workers published with a model, some at a time; none where no scores were archived."""
    theirs, wanted = plain(pc.field("model")) == version, _wanted(rows, ARCHIVED_AT.name)
    risk = pa.schema([pa.field("risk", pa.float64())])
    for table in archive.table("scores", risk, theirs if wanted is None else theirs & wanted):
        yield table["risk"].to_numpy()


def offsets(
    folder: str, partitions: Collection[Partition], key_id: str | None = None, table: str = "events"
) -> dict[Partition, int]:
    """The next offset of partitions of which a table of an archive holds all before; no others.

    ArchiveUnreachable; SettingsError when its entities go by other names than `key_id` tells. An import holds none.
    """
    url = f"{folder}/{table}"
    return Table(url, key_id=key_id).reached(partitions) if snapshot(url) else {}


def columns(event_type: EventType, rows: pa.Table) -> Columns:
    """Events as the columns that features and history take: those of the fields that are there, ids as `raw`."""
    given = [field for field in event_type.fields if field.name in rows.column_names]
    found = {field.name: _column(field, rows[field.name]) for field in given}
    ids = [field for field in event_type.identified if field.name in rows.column_names]
    return found | {raw(field.name): raw_column(field, rows[field.name].to_pylist()) for field in ids}


def label_columns(event_type: EventType, rows: pa.Table) -> Columns:
    """Labels as the columns that history folds: `label`, its times, and what it repeats of its event as `raw`."""
    echoed = [field for field in event_type.fields if field.name in ("event_id", *event_type.entities)]
    times = {name: rows[name].cast(pa.int64()).to_numpy() for name in ("occurred_at", "labelled_at")}
    raws = {raw(field.name): raw_column(field, rows[field.name].to_pylist()) for field in echoed}
    return {**raws, **times, "label": rows["label"].to_numpy()}


def told_columns(event_type: EventType) -> list[str]:
    """The columns of labels that `label_columns` takes."""
    return list(dict.fromkeys(("event_id", "occurred_at", "label", "labelled_at", *event_type.entities)))


def _column(field: Field, values: pa.ChunkedArray) -> object:
    if field.kind == "time":
        return values.cast(pa.int64()).to_numpy()
    if field.kind == "number":
        return values.cast(pa.float64(), safe=False).to_numpy()  # large integers as the nearest, as `column` has them
    return column(field, values.to_pylist())


def _found(folder: str) -> dict[str, Snapshot | list[Path]]:
    """The tables of a folder, or the files of an import."""
    places = {name: f"{folder}/{name}" for name in ("events", "labels")}
    return {name: snapshot(place) or _imported(place) for name, place in places.items()}


def _imported(folder: str) -> list[Path]:
    local = folder.removeprefix("file://")
    return [] if "://" in local else parquet_files(Path(local))


def _wanted(rows: Rows, known_at: str) -> pc.Expression | None:
    """The filter of rows, where they have a column that tells when they were known."""
    conditions = []
    if rows.since is not None:
        conditions.append(pc.field("occurred_at") >= pa.scalar(rows.since, ARCHIVED_AT.type))
    if rows.until is not None:
        conditions.append(pc.field("occurred_at") < pa.scalar(rows.until, ARCHIVED_AT.type))
    if rows.as_of is not None:
        conditions.append(pc.field(known_at) <= pa.scalar(rows.as_of, ARCHIVED_AT.type))
    found = None
    for condition in conditions:
        found = condition if found is None else found & condition
    return found


def _of_table(found: Snapshot, schema: pa.Schema, wanted: pc.Expression | None) -> Iterator[pa.Table]:
    """Columns of a Delta table; one that it does not have yet is null."""
    there = [name for name in schema.names if name in found.rows.schema.names]
    how = {"batch_size": BATCH, "batch_readahead": AHEAD, "fragment_readahead": AHEAD}
    with storage("the archive"):
        for batch in found.rows.to_batches(there, filter=wanted, **how):
            if len(batch):
                yield pa.table([_or_null(batch, field) for field in schema], schema)


def _or_null(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    if field.name not in batch.schema.names:
        return pa.nulls(len(batch), field.type)
    return batch[field.name].cast(field.type)


def _of_files(files: Sequence[Path], schema: pa.Schema, columns: Sequence[str], rows: Rows) -> Iterator[pa.Table]:
    """Columns of files; what they say of when they were known is the time of their records."""
    needed = {"occurred_at"} if rows.since or rows.until else set()
    needed |= {KNOWN_AT} if rows.as_of else set()
    wanted = _wanted(rows, KNOWN_AT)
    for path in files:
        for batch in batches(path, schema, list(dict.fromkeys([*columns, *needed])), BATCH):
            kept = batch if wanted is None else batch.filter(wanted)
            if len(kept):
                yield kept.select(columns)
