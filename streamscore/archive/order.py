"""An archive's events oldest first and each once, and its labels as they became known, in bounded memory.

archive → sorted on disk → moments, never cut → repeats dropped
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamscore.archive.read import EVERY, Archive, Rows, columns, label_columns, told_columns
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Columns
from streamscore.core.history.entity_history import EntityHistory
from streamscore.errors import DataError
from streamscore.files.external_sort import in_order, up_to

# Events folded and asked at a time, at least: the more, the more of an entity lie together.
CHUNK = 1 << 16

LabelsUntil = Callable[[int], list[Columns]]


class AsOf(NamedTuple):
    """Events of some moments with their times (µs) and features, float32 (rows, features), each as of its own time."""

    times: np.ndarray
    matrix: np.ndarray


def as_of(archive: Archive, event_type: EventType, folder: Path, rows: Rows = EVERY) -> Iterator[AsOf]:
    """The features of events by the worker's own functions; `folder` holds what is being sorted.

    What is not among the rows is in no number of their past. DataError when the archive is not one.
    """
    history = EntityHistory(event_type)
    known = known_labels(archive, event_type, folder, rows)
    tables = archive.events([*(field.name for field in event_type.fields), *archive.places], rows)
    place = folder / "events"
    place.mkdir()
    for chunk in moments(in_order((keyed("events", table, "occurred_at") for table in tables), place)):
        events = once(chunk)
        for labels in known(int(events["at"][-1].as_py())):
            history.fold_labels(labels)
        found = columns(event_type, events)
        matrix = event_type.features.matrix(history.following(found), events.num_rows)
        yield AsOf(found["occurred_at"], matrix)


def known_labels(archive: Archive, event_type: EventType, folder: Path, rows: Rows) -> LabelsUntil:
    """The function that gives, as columns to fold, the labels known by a time that it has not given yet.

    None where no number of the event type's history asks for labels; `folder` holds what is being sorted.
    """
    if not any(aggregate.kind == "risk" for aggregate in event_type.history):
        return lambda _: []
    place = folder / "labels"
    place.mkdir()
    tables = archive.labels(told_columns(event_type), rows)
    taken = up_to(in_order((keyed("labels", told(table), "labelled_at") for table in tables), place))
    return lambda time: [label_columns(event_type, table) for table in taken(time)]


def told(table: pa.Table) -> pa.Table:
    """The labels that say something."""
    if table["labelled_at"].null_count:
        raise DataError(f"labels: labelled_at is missing in {table['labelled_at'].null_count:,} rows")
    return table.filter(table["label"].is_valid())


def keyed(kind: str, table: pa.Table, time: str) -> pa.Table:
    """Rows with the column `at`, the µs of one of their times, by which they are sorted."""
    for name in ("event_id", time):
        if table[name].null_count:
            raise DataError(f"{kind}: {name} is missing in {table[name].null_count:,} rows")
    return table.append_column("at", micros(table[time]))


def micros(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times as µs since 1970."""
    return times.cast(pa.int64())


def moments(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, cut between distinct times: an event's answer, and its repetition, stand beside it."""
    held: list[pa.Table] = []
    for table in tables:
        at = table["at"].to_numpy()
        first = int(np.searchsorted(at, at[-1]))
        if sum(map(len, held)) + first >= CHUNK and (first or held[-1]["at"][-1].as_py() != at[0]):
            yield pa.concat_tables([*held, table.slice(0, first)])
            held = [table.slice(first)]
        else:
            held.append(table)
    if held:
        yield pa.concat_tables(held)


def once(rows: pa.Table) -> pa.Table:
    """Sorted rows without those that have the time and id of the one before: of copies the first that came is kept."""
    at = rows["at"].to_numpy()
    candidates = np.flatnonzero(at[1:] == at[:-1]) + 1
    if not len(candidates):
        return rows
    ids = rows["event_id"].combine_chunks()
    same = pc.equal(ids.take(candidates), ids.take(candidates - 1)).to_numpy(zero_copy_only=False)
    keep = np.ones(len(at), bool)
    keep[candidates[same]] = False
    return rows.filter(keep)
