"""Laws that every kind of file keeps, as a source of events and as a sink of scores, for every event type."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamscore.core.events.decode import Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.record import Record
from streamscore.core.scoring.bundle import Bundle
from streamscore.files.as_of import Reader, Source
from streamscore.files.read import FORMATS, wire_lines
from streamscore.files.score import WRITERS, Summary, as_of, score_batches, score_file
from tests.support.generated import EVENT_TYPES, bodies
from tests.support.samples import NOW, StubScorer, bundle

LAW = settings(
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
EACH_TYPE = pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.name)
EACH_FORMAT = pytest.mark.parametrize("suffix", FORMATS)

Rows = Sequence[Mapping[str, Any]]


def write_parquet(path: Path, names: Sequence[str], rows: Rows) -> None:
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)


def write_csv(path: Path, names: Sequence[str], rows: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def write_ndjson(path: Path, _: Sequence[str], rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_ndjson(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


# How other programs write and read each kind of file.
WRITE: dict[str, Callable[[Path, Sequence[str], Rows], None]] = {
    ".parquet": write_parquet,
    ".csv": write_csv,
    ".ndjson": write_ndjson,
    ".jsonl": write_ndjson,
}
READ: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    ".parquet": lambda path: pq.read_table(path).to_pylist(),
    ".csv": lambda path: pa.csv.read_csv(path).to_pylist(),
    ".ndjson": read_ndjson,
    ".jsonl": read_ndjson,
}


def events_of(event_type: EventType, lines: Sequence[bytes]) -> list[Any]:
    records = [Record("file", 0, row, -1, None, line, None) for row, line in enumerate(lines)]
    return [entry.event or entry.dead_letter for entry in decode(event_type, records, NOW, Limits())]


def scored(model: Bundle, lines: list[bytes], out: Path) -> Summary:
    """Score lines by the road of their event type: one with history is read from a file, as of its events' times."""
    if not model.event_type.history:
        return score_file(model, [lines], out, Limits(), NOW)
    source = out.with_name("lines.ndjson")
    source.write_bytes(b"".join(line + b"\n" for line in lines))
    reader = Reader(model.event_type, Source(source), lambda _: None, NOW)
    return score_batches(model, as_of(model, reader), out, NOW)


def test_every_format_is_a_source_and_a_sink() -> None:
    """What can be read can be written, and this file knows how others would do both."""
    assert set(FORMATS) == WRITERS.keys() == WRITE.keys() == READ.keys()


@EACH_FORMAT
@EACH_TYPE
@LAW
@given(data=st.data())
def test_a_source_gives_the_events_that_were_written(
    event_type: EventType, suffix: str, data: st.DataObject, tmp_path: Path
) -> None:
    """Whatever valid events a file holds, its wire lines decode to the events of their JSON."""
    rows = data.draw(st.lists(bodies(event_type), min_size=1, max_size=4))
    path = tmp_path / f"events{suffix}"
    WRITE[suffix](path, [field.wire_name for field in event_type.fields], rows)
    lines = [line for chunk in wire_lines(path, event_type, chunk=3) for line in chunk]
    assert events_of(event_type, lines) == events_of(event_type, [json.dumps(row).encode() for row in rows])


@EACH_FORMAT
@EACH_TYPE
@LAW
@given(data=st.data())
def test_a_sink_has_a_row_for_every_line(
    event_type: EventType, suffix: str, data: st.DataObject, tmp_path: Path
) -> None:
    """Scored and refused lines all have their row, each with its risk or with why it has none."""
    good = [json.dumps(row).encode() for row in data.draw(st.lists(bodies(event_type), max_size=3))]
    lines = [line for each in good for line in (each, each[: len(each) // 2])]
    scorer = StubScorer(lambda matrix: np.full(len(matrix), 0.25), {0: 1.0})
    path = tmp_path / f"scores{suffix}"
    summary = scored(bundle(event_type, scorer), lines, path)
    assert (summary.read, summary.scored, summary.refused) == (len(lines), len(good), len(good))
    found = sorted(READ[suffix](path), key=lambda row: row["row"])
    assert [row["row"] for row in found] == list(range(len(lines)))
    assert [row["risk"] for row in found] == [0.25, None] * len(good)
    expected: list[Any] = [msgspec.json.decode(line, type=event_type.struct) for line in good]
    assert [str(row["event_id"]) for row in found[::2]] == [str(event.event_id) for event in expected]
    assert all(row["error"] for row in found[1::2])
