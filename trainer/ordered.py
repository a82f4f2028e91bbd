"""An archive's events oldest first, each once and with its latest answer, and its labels as they became known.

archive → sorted on disk → moments, never cut → repeats dropped → answers joined
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from streamscore.archive_read import Archive, Rows, label_columns, told_columns
from streamscore.core.event import Columns
from streamscore.core.event_type import EventType
from streamscore.errors import DataError
from streamscore.time_order import in_order, up_to

ANSWER = "answer"
# Events folded and asked at a time, at least: the more, the more of an entity lie together.
CHUNK = 1 << 16


class Chunk(NamedTuple):
    """Events of some moments: their fields with `answer` (null where nothing is known), and labels known by then."""

    events: pa.Table
    labels: list[Columns]


@dataclass
class Tally:
    """What was read so far; all is before the first chunk comes, but for the repeated events."""

    events: int = 0
    repeated: int = 0
    labels: int = 0
    # µs: the latest time that any event or label tells of.
    known_until: int = -(1 << 62)


def ordered(archive: Archive, event_type: EventType, rows: Rows, folder: Path, tally: Tally) -> Iterator[Chunk]:
    """Chunks in the order of time; `folder` holds what is being sorted. DataError when the archive is not one."""
    told, fields = told_columns(event_type), [field.name for field in event_type.fields]
    risk = any(aggregate.kind == "risk" for aggregate in event_type.history)
    place = folder / "labels"
    place.mkdir()
    known = up_to(in_order(_known(archive.labels(told, rows)), place)) if risk else None
    for chunk in answered(archive.events(fields, rows), archive.labels(told, rows), folder, tally):
        until = chunk["at"][-1].as_py()
        folded = [label_columns(event_type, table) for table in known(until)] if known else []
        yield Chunk(chunk.drop_columns(["at"]), folded)


def answered(events: Iterable[pa.Table], labels: Iterable[pa.Table], folder: Path, tally: Tally) -> Iterator[pa.Table]:
    """Rows about events in the order of time, each event's once, with its time `at` in µs and its latest `answer`."""
    places = [folder / name for name in ("events", "answers")]
    for place in places:
        place.mkdir()
    answers = up_to(in_order(_answers(labels, tally), places[1]))
    for chunk in _moments(in_order(_events(events, tally), places[0])):
        once = _once(chunk)
        tally.repeated += chunk.num_rows - once.num_rows
        yield once.append_column(ANSWER, _joined(once, answers(once["at"][-1].as_py())))


def _events(tables: Iterable[pa.Table], tally: Tally) -> Iterator[pa.Table]:
    for table in tables:
        keyed = _keyed("events", table, "occurred_at")
        tally.events += table.num_rows
        tally.known_until = max(tally.known_until, pc.max(keyed["at"]).as_py())
        yield keyed


def _answers(tables: Iterable[pa.Table], tally: Tally) -> Iterator[pa.Table]:
    """Labels in the order of their events."""
    for table in tables:
        told = _told(table)
        tally.labels += told.num_rows
        if told.num_rows:
            keyed = _keyed("labels", told, "occurred_at")
            tally.known_until = max(tally.known_until, pc.max(_micros(told["labelled_at"])).as_py())
            yield keyed.select(["at", "event_id", "label", "labelled_at"])


def _known(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Labels in the order in which they became known."""
    for table in tables:
        yield _keyed("labels", _told(table), "labelled_at")


def _told(table: pa.Table) -> pa.Table:
    """The labels that say something."""
    if table["labelled_at"].null_count:
        raise DataError(f"labels: labelled_at is missing in {table['labelled_at'].null_count:,} rows")
    return table.filter(table["label"].is_valid())


def _keyed(kind: str, table: pa.Table, time: str) -> pa.Table:
    for name in ("event_id", time):
        if table[name].null_count:
            raise DataError(f"{kind}: {name} is missing in {table[name].null_count:,} rows")
    return table.append_column("at", _micros(table[time]))


def _micros(times: pa.ChunkedArray) -> pa.ChunkedArray:
    return times.cast(pa.int64())


def _moments(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
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


def _once(rows: pa.Table) -> pa.Table:
    """Sorted rows without those that have the time and id of the one before."""
    at = rows["at"].to_numpy()
    candidates = np.flatnonzero(at[1:] == at[:-1]) + 1
    if not len(candidates):
        return rows
    ids = rows["event_id"].combine_chunks()
    same = pc.equal(ids.take(candidates), ids.take(candidates - 1)).to_numpy(zero_copy_only=False)
    keep = np.ones(len(at), bool)
    keep[candidates[same]] = False
    return rows.filter(keep)


def _joined(events: pa.Table, labels: Sequence[pa.Table]) -> pa.Array:
    """bool or null for each event: the latest label of its id and time, of two at one moment the positive."""
    if not labels:
        return pa.nulls(events.num_rows, pa.bool_())
    latest = pa.concat_tables(labels).sort_by([(name, "ascending") for name in ("labelled_at", "label")])
    answers = latest.select(["at", "event_id", "label"]).to_pandas().drop_duplicates(["at", "event_id"], keep="last")
    asked = pd.DataFrame({"at": events["at"].to_numpy(), "event_id": events["event_id"].to_pandas()})
    found = asked.merge(answers, on=["at", "event_id"], how="left")["label"]
    return pa.array(found, pa.bool_(), from_pandas=True)
