"""An archive's events oldest first, each once and with its latest answer, and its labels as they became known.

archive → sorted on disk → moments, never cut → repeats dropped → answers joined
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from streamscore.archive.order import keyed, known_labels, micros, moments, once, told
from streamscore.archive.read import Archive, Rows, told_columns
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Columns
from streamscore.core.events.record import NEVER
from streamscore.files.external_sort import in_order, up_to

ANSWER = "answer"


class Chunk(NamedTuple):
    """Events of some moments: their fields with `answer` (null where nothing is known), and labels known by then."""

    events: pa.Table
    labels: list[Columns]


@dataclass
class ReadCounts:
    """What was read so far; all is before the first chunk comes, but for the repeated events."""

    events: int = 0
    repeated: int = 0
    labels: int = 0
    # µs: the latest time that any event or label tells of.
    known_until: int = -NEVER


def ordered(archive: Archive, event_type: EventType, rows: Rows, folder: Path, counts: ReadCounts) -> Iterator[Chunk]:
    """Chunks in the order of time; `folder` holds what is being sorted. DataError when the archive is not one."""
    fields = [*(field.name for field in event_type.fields), *archive.places]
    told_of = told_columns(event_type)
    known = known_labels(archive, event_type, folder, rows)
    for chunk in answered(archive.events(fields, rows), archive.labels(told_of, rows), folder, counts):
        yield Chunk(chunk.drop_columns(["at", *archive.places]), known(chunk["at"][-1].as_py()))


def answered(
    events: Iterable[pa.Table], labels: Iterable[pa.Table], folder: Path, counts: ReadCounts
) -> Iterator[pa.Table]:
    """Rows about events in the order of time, each event's once, with its time `at` in µs and its latest `answer`."""
    places = [folder / name for name in ("events", "answers")]
    for place in places:
        place.mkdir()
    answers = up_to(in_order(_answers(labels, counts), places[1]))
    for chunk in moments(in_order(_events(events, counts), places[0])):
        each = once(chunk)
        counts.repeated += chunk.num_rows - each.num_rows
        yield each.append_column(ANSWER, _joined(each, answers(each["at"][-1].as_py())))


def _events(tables: Iterable[pa.Table], counts: ReadCounts) -> Iterator[pa.Table]:
    for table in tables:
        rows = keyed("events", table, "occurred_at")
        counts.events += table.num_rows
        counts.known_until = max(counts.known_until, pc.max(rows["at"]).as_py())
        yield rows


def _answers(tables: Iterable[pa.Table], counts: ReadCounts) -> Iterator[pa.Table]:
    """Labels in the order of their events."""
    for table in tables:
        rows = told(table)
        counts.labels += rows.num_rows
        if rows.num_rows:
            counts.known_until = max(counts.known_until, pc.max(micros(rows["labelled_at"])).as_py())
            yield keyed("labels", rows, "occurred_at").select(["at", "event_id", "label", "labelled_at"])


def _joined(events: pa.Table, labels: Sequence[pa.Table]) -> pa.Array:
    """bool or null for each event: the latest label of its id and time, of two at one moment the positive."""
    if not labels:
        return pa.nulls(events.num_rows, pa.bool_())
    latest = pa.concat_tables(labels).sort_by([(name, "ascending") for name in ("labelled_at", "label")])
    answers = latest.select(["at", "event_id", "label"]).to_pandas().drop_duplicates(["at", "event_id"], keep="last")
    asked = pd.DataFrame({"at": events["at"].to_numpy(), "event_id": events["event_id"].to_pandas()})
    found = asked.merge(answers, on=["at", "event_id"], how="left")["label"]
    return pa.array(found, pa.bool_(), from_pandas=True)
