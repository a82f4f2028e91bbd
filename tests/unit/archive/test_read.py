"""Reading an archive: the same rows as of the same time, of tables and of imported files alike."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from examples.handbook import TRANSACTION as HANDBOOK
from streamscore.archive import upkeep as delta_upkeep
from streamscore.archive.delta import Table
from streamscore.archive.read import Archive, Rows, columns, offsets
from streamscore.archive.rows import event_rows
from streamscore.core.events.aggregate import raw
from streamscore.core.events.application import APPLICATION
from streamscore.core.events.decode import Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.record import Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import DataError
from streamscore.simulator import streams as simulator
from streamscore.simulator.past import write_simulated
from tests.support.running import START, transactions

ONE = ("events", 0)
NOW = datetime.now(UTC)
OLD = NOW - timedelta(hours=2)


def archived(folder: Path, first: int, count: int, at: datetime) -> None:
    """Append transactions as an archiver does, at that time."""
    values = [value for _, value in transactions(first + count)][first:]
    records = [Record(*ONE, row, int(at.timestamp() * 1000), None, v, None) for row, v in enumerate(values, first)]
    rows = event_rows(TRANSACTION, Limits())(records, NOW)["transaction/events"]
    before = {ONE: first} if first else {}
    Table(str(folder / "events"), at.timestamp).append(rows, before, {ONE: first + count})


def ids(folder: Path, rows: Rows) -> list[str]:
    found = Archive(str(folder), TRANSACTION).events(["event_id"], rows)
    return sorted(value for table in found for value in table["event_id"].to_pylist())


def test_as_of_a_time_is_the_same_whenever_it_is_asked(tmp_path: Path) -> None:
    """Rows archived later are not seen, and files written together change nothing."""
    archived(tmp_path, 0, 100, OLD)
    archived(tmp_path, 100, 50, OLD + timedelta(minutes=1))
    asked = Rows(as_of=OLD + timedelta(minutes=5))
    before = ids(tmp_path, asked)
    archived(tmp_path, 150, 70, OLD + timedelta(minutes=30))
    delta_upkeep.compact(str(tmp_path / "events"))
    assert len(before) == 150
    assert ids(tmp_path, asked) == before
    assert len(ids(tmp_path, Rows())) == 220
    assert len(ids(tmp_path, Rows(as_of=OLD))) == 100
    assert ids(tmp_path, Rows(as_of=OLD - timedelta(seconds=1))) == []


def test_a_time_that_is_not_settled_is_refused(tmp_path: Path) -> None:
    """Rows archived at it may still be on their way."""
    archived(tmp_path, 0, 10, OLD)
    with pytest.raises(DataError, match="settled"):
        Archive(str(tmp_path), TRANSACTION).events(["event_id"], Rows(as_of=datetime.now(UTC)))


def test_only_events_of_the_time_asked_for_come(tmp_path: Path) -> None:
    """The end is not included."""
    archived(tmp_path, 0, 200, OLD)
    every = Archive(str(tmp_path), TRANSACTION).events(["occurred_at", "event_id"])
    known = {row["event_id"]: row["occurred_at"] for table in every for row in table.to_pylist()}
    since, until = sorted(known.values())[50], sorted(known.values())[120]
    wanted = sorted(event_id for event_id, at in known.items() if since <= at < until)
    assert ids(tmp_path, Rows(since, until)) == wanted
    assert len(wanted) == 70


def test_an_opened_archive_does_not_change(tmp_path: Path) -> None:
    """What comes while it is read is not seen; its versions say what it was."""
    archived(tmp_path, 0, 10, OLD)
    opened = Archive(str(tmp_path), TRANSACTION)
    archived(tmp_path, 10, 10, OLD)
    assert sum(map(len, opened.events(["event_id"]))) == 10
    assert opened.versions == {"events": 1}
    assert list(opened.labels(["event_id"])) == []
    assert offsets(str(tmp_path), [ONE, ("events", 1)]) == {ONE: 20}


def test_a_column_that_came_later_is_null_before(tmp_path: Path) -> None:
    """An event type that got a new optional field reads its older table."""
    rows = event_rows(TRANSACTION, Limits())([Record(*ONE, 0, 0, None, transactions(1)[0][1], None)], NOW)
    Table(str(tmp_path / "events")).append(rows["transaction/events"].drop_columns(["device_id"]), {}, {ONE: 1})
    (read,) = Archive(str(tmp_path), TRANSACTION).events(["event_id", "device_id"])
    assert read["device_id"].to_pylist() == [None]
    assert read["device_id"].type == pa.string()


def imported(folder: Path) -> None:
    simulated = simulator.transactions(3000, START, 1.0, 5)
    write_simulated(folder, TRANSACTION, simulated, int(NOW.timestamp() * 1e6), "first")
    write_simulated(folder, TRANSACTION, simulated, int(NOW.timestamp() * 1e6), "second")


def test_imported_files_are_read_as_well(tmp_path: Path) -> None:
    """What is asked as of a time goes by the records' own; there is no version."""
    imported(tmp_path)
    opened = Archive(str(tmp_path), TRANSACTION)
    events = pa.concat_tables(opened.events(["event_id", "occurred_at"]))
    labels = pa.concat_tables(opened.labels(["event_id", "label", "labelled_at"]))
    assert (len(events), opened.versions) == (6000, {})
    assert offsets(str(tmp_path), [ONE]) == {}
    at = labels["labelled_at"].to_pylist()
    middle = sorted(at)[len(at) // 2]
    known = pa.concat_tables(opened.labels(["event_id"], Rows(as_of=middle)))
    assert len(known) == sum(time <= middle + timedelta(milliseconds=1) for time in at)
    until = events["occurred_at"].to_pylist()[1500]
    assert len(pa.concat_tables(opened.events(["event_id"], Rows(until=until)))) == 3000


def test_a_folder_without_events_is_an_error(tmp_path: Path) -> None:
    """It says where it looked."""
    with pytest.raises(DataError, match="nowhere/events"):
        Archive(str(tmp_path / "nowhere"), TRANSACTION)


def handbook_lines() -> list[bytes]:
    one = b'{"transaction_id":%d,"occurred_at":"2026-01-01T00:00:%02d.5Z","customer_id":%d,"terminal_id":2'
    one += b',"amount":%d.25}'
    return [one % (row, row, row % 7, row) for row in range(50)]


LINES = {
    TRANSACTION: simulator.json_lines(TRANSACTION, simulator.transactions(500, START, 1.0, 9)),
    APPLICATION: simulator.json_lines(APPLICATION, simulator.applications(500, START, 1.0, 9)),
    HANDBOOK: handbook_lines(),
}


def test_integers_that_no_float_holds_are_read() -> None:
    """As numbers they are the nearest, as ids they are themselves; pseudonyms of integers are as large."""
    line = json.dumps(json.loads(LINES[HANDBOOK][0]) | {"customer_id": 2**62 + 1}).encode()
    record = Record(*ONE, 0, 0, None, line, None)
    found = columns(HANDBOOK, event_rows(HANDBOOK, Limits())([record], NOW)["handbook/events"])
    expected = HANDBOOK.columns([entry.event for entry in decode(HANDBOOK, [record], NOW, Limits())])
    assert found[raw("customer_id")].tolist() == expected[raw("customer_id")].tolist() == [2**62 + 1]
    assert found["customer_id"].tolist() == [2.0**62]


@pytest.mark.parametrize("event_type", LINES, ids=["transaction", "application", "handbook"])
def test_archived_events_become_the_columns_that_a_worker_makes(event_type: EventType) -> None:
    """To the last bit: trainer and worker take features and history from the same numbers."""
    records = [Record(*ONE, row, 0, None, line, None) for row, line in enumerate(LINES[event_type])]
    rows = event_rows(event_type, Limits())(records, NOW)[f"{event_type.name}/events"]
    events = [entry.event for entry in decode(event_type, records, NOW, Limits())]
    assert len(events) == len(rows)
    found = columns(event_type, rows)
    for name, values in event_type.columns(events).items():
        np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(values), err_msg=name)
