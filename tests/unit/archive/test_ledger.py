"""How far the tables of a topic are: what a crash left behind is written once all the same."""

from pathlib import Path

import pyarrow as pa
import pytest

from streamscore.archive.delta import Overtaken, Table
from streamscore.archive.ledger import Roll, TopicProgress
from streamscore.archive.rows import REFUSED
from streamscore.core.events.record import Record
from tests.unit.archive.test_delta import ONE, OTHER, offsets, rows

PLACES = ("refused", "events")


def ledger(folder: Path) -> TopicProgress:
    return TopicProgress([Table(str(folder / place)) for place in PLACES], PLACES)


def refused(first: int, count: int) -> pa.Table:
    own = rows(ONE, first, count).select([name for name in REFUSED.names if name.startswith("kafka") or name == "date"])
    nothing = [pa.nulls(count, field.type) for field in list(REFUSED)[5:]]
    return pa.table([*own.columns, *nothing], REFUSED)


def roll(first: int, good: int, bad: int) -> Roll:
    """A roll of one partition: so many events, then so many records that are none."""
    found = Roll()
    end = first + good + bad
    found.add(
        {"events": rows(ONE, first, good)} | ({"refused": refused(first + good, bad)} if bad else {}), {ONE: end}, 1
    )
    return found


def records(first: int, end: int) -> list[Record]:
    return [Record(*ONE, offset, -1, None, b"", None) for offset in range(first, end)]


def test_a_new_ledger_goes_on_where_the_tables_are(tmp_path: Path) -> None:
    """The last table says how far the archive is; a table without rows of a roll is not written."""
    one = ledger(tmp_path)
    assert one.begin([ONE, OTHER]) == {}
    assert one.write(roll(0, 10, 2)) == {"refused": 2, "events": 10}
    assert one.write(roll(12, 5, 0)) == {"events": 5}
    other = ledger(tmp_path)
    assert other.begin([ONE, OTHER]) == {ONE: 17}
    assert other.write(roll(17, 1, 1)) == {"refused": 1, "events": 1}
    assert (offsets(tmp_path / "events"), offsets(tmp_path / "refused")) == ([*range(10), *range(12, 18)], [10, 11, 18])


def test_a_roll_without_rows_still_says_how_far(tmp_path: Path) -> None:
    """Records that are all refused are not read again."""
    one = ledger(tmp_path)
    one.begin([ONE])
    one.write(roll(0, 0, 3))
    assert ledger(tmp_path).begin([ONE]) == {ONE: 3}


def test_what_a_crash_left_is_written_once(tmp_path: Path) -> None:
    """A crash between two tables: what one has is settled, even if it would be an event by now."""
    crashed = roll(0, 4, 2)
    Table(str(tmp_path / "refused")).append(crashed.rows["refused"][0], {}, crashed.reached)
    after = ledger(tmp_path)
    assert after.begin([ONE]) == {}
    left = after.unsettled(records(0, 8))
    assert [record.offset for record in left] == [0, 1, 2, 3, 6, 7]
    again = Roll()
    again.add({"events": rows(ONE, 0, 4), "refused": refused(6, 2)}, {ONE: 8}, 1)
    after.write(again)
    assert (offsets(tmp_path / "events"), offsets(tmp_path / "refused")) == ([0, 1, 2, 3], [4, 5, 6, 7])


def test_a_zombie_is_overtaken_and_may_begin_anew(tmp_path: Path) -> None:
    """It writes to no table, and goes on where the other is."""
    zombie, other = ledger(tmp_path), ledger(tmp_path)
    zombie.begin([ONE])
    other.begin([ONE])
    other.write(roll(0, 4, 1))
    with pytest.raises(Overtaken):
        zombie.write(roll(0, 4, 1))
    with pytest.raises(Overtaken):
        zombie.write(roll(0, 4, 0))
    assert zombie.begin([ONE]) == {ONE: 5}
    zombie.write(roll(5, 1, 0))
    assert (offsets(tmp_path / "events"), offsets(tmp_path / "refused")) == ([0, 1, 2, 3, 5], [4])


def test_a_partition_that_leaves_takes_its_rows_along() -> None:
    """The rest of a roll stays as it is."""
    held = Roll()
    held.add({"events": rows(ONE, 0, 3)}, {ONE: 3}, 1)
    held.add({"events": rows(OTHER, 7, 2)}, {OTHER: 9}, 2)
    held.drop([ONE, ("events", 5)])
    assert held.reached == {OTHER: 9}
    assert [row for table in held.rows["events"] for row in table["kafka_offset"].to_pylist()] == [7, 8]
    assert held.count == 2
