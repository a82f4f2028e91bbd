"""Delta tables: each record once, whoever else writes, whatever is done to the files."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from deltalake import DeltaTable

from streamscore.archive import upkeep as delta_upkeep
from streamscore.archive.delta import Overtaken, Table, snapshot
from streamscore.archive.rows import OWN, REFUSED
from streamscore.archive.upkeep import Person
from streamscore.core.events.record import Partition
from streamscore.errors import DataError
from tests.support.running import environment

ONE, OTHER = ("events", 0), ("events", 1)
SCHEMA = pa.schema([*OWN, pa.field("customer_id", pa.string()), pa.field("amount", pa.float64())])
DAY = 86_400_000_000

# Appends ten rows a time as if nobody else did, fifty times, and begins anew where it was overtaken.
WRITER = """
import sys
from tests.unit.archive.test_delta import ONE, rows
from streamscore.archive.delta import Overtaken, Table
table = Table(sys.argv[1])
overtaken = 0
while (at := table.reached([ONE])).get(ONE, 0) < 500:
    start = at.get(ONE, 0)
    try:
        table.append(rows(ONE, start, 10), at, {ONE: start + 10})
    except Overtaken:
        overtaken += 1
print(overtaken)
"""


def rows(partition: Partition, first: int, count: int, day: int = 0, schema: pa.Schema = SCHEMA) -> pa.Table:
    """Rows of a partition from an offset on; the customer of each is named by its offset."""
    columns = {
        "kafka_topic": [partition[0]] * count,
        "kafka_partition": [partition[1]] * count,
        "kafka_offset": list(range(first, first + count)),
        "kafka_timestamp": [day * DAY] * count,
        "date": [day] * count,
        "customer_id": [f"c{offset}" for offset in range(first, first + count)],
        "amount": [0.5] * count,
        "country": ["DE"] * count,
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema)


def offsets(url: Path) -> list[int]:
    found = snapshot(str(url))
    assert found
    return sorted(found.rows.to_table(["kafka_offset"])["kafka_offset"].to_pylist())


def holding(url: Path, customer: str) -> list[Path]:
    """The files on disk that have rows of a customer, whether the table knows them or not."""
    read = {path: pa.parquet.read_table(path, partitioning=None) for path in url.rglob("*.parquet")}
    return [path for path, found in read.items() if customer in found["customer_id"].to_pylist()]


@pytest.fixture
def url(tmp_path: Path) -> Path:
    return tmp_path / "archive" / "events"


@pytest.fixture
def table(url: Path) -> Table:
    """A table with three appends of partition ONE and one of OTHER, on three days."""
    found = Table(str(url))
    for number in range(3):
        before = {ONE: number * 10} if number else {}
        found.append(rows(ONE, number * 10, 10, day=number), before, {ONE: number * 10 + 10})
    found.append(rows(OTHER, 100, 5), {}, {OTHER: 105})
    return found


def test_rows_and_offsets_are_one_commit(table: Table, url: Path) -> None:
    """What was appended is there, and so is how far each partition is; of others nothing is known."""
    assert offsets(url) == [*range(30), *range(100, 105)]
    assert table.reached([ONE, OTHER, ("labels", 0)]) == {ONE: 30, OTHER: 105}
    assert DeltaTable(str(url)).version() == 4


def test_an_append_where_somebody_else_wrote_is_refused(table: Table, url: Path) -> None:
    """A second archiver that believes what was true adds nothing, and hears of it."""
    zombie = Table(str(url))
    assert zombie.reached([ONE]) == {ONE: 30}
    table.append(rows(ONE, 30, 10), {ONE: 30}, {ONE: 40})
    with pytest.raises(Overtaken):
        zombie.append(rows(ONE, 30, 10), {ONE: 30}, {ONE: 40})
    with pytest.raises(Overtaken):
        zombie.append(rows(ONE, 0, 10), {}, {ONE: 10})
    assert offsets(url) == [*range(40), *range(100, 105)]


def test_appends_to_other_partitions_are_none_of_its_business(table: Table, url: Path) -> None:
    """Two archivers with partitions of their own both append, in turn and without being overtaken."""
    other = Table(str(url))
    other.reached([OTHER])
    table.append(rows(ONE, 30, 10), {ONE: 30}, {ONE: 40})
    other.append(rows(OTHER, 105, 5), {OTHER: 105}, {OTHER: 110})
    assert table.reached([ONE, OTHER]) == {ONE: 40, OTHER: 110}


@pytest.mark.slow
def test_two_processes_race_and_no_row_is_doubled(url: Path) -> None:
    """Two writers of the same partition at the same time: one is overtaken at times, and each offset is there once."""
    url.parent.mkdir()
    command = [sys.executable, "-c", WRITER, str(url)]
    racing = [subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) for _ in range(2)]
    overtaken = [int(process.communicate(timeout=120)[0]) for process in racing]
    assert [process.returncode for process in racing] == [0, 0]
    assert sum(overtaken) > 0
    assert offsets(url) == list(range(500))


def test_times_of_archiving_only_grow(url: Path) -> None:
    """Also when the clock goes back: what was known at a time stays what it was."""
    clock = [2000.0]
    table = Table(str(url), lambda: clock[0])
    table.append(rows(ONE, 0, 1), {}, {ONE: 1})
    clock[0] = 1000.0
    table.append(rows(ONE, 1, 1), {ONE: 1}, {ONE: 2})
    found = snapshot(str(url))
    assert found
    at = found.rows.to_table().sort_by("kafka_offset")["archived_at"].cast(pa.int64()).to_pylist()
    assert at == [2_000_000_000, 2_000_000_001]


def test_a_new_column_joins_an_older_table(table: Table, url: Path) -> None:
    """Rows from before have no value in it; an archiver that does not know it yet still appends."""
    wider = pa.schema([*SCHEMA, pa.field("country", pa.string())])
    Table(str(url)).append(rows(ONE, 30, 1, schema=wider), {ONE: 30}, {ONE: 31})
    table.append(rows(ONE, 31, 1), {ONE: 31}, {ONE: 32})
    found = snapshot(str(url))
    assert found
    countries = found.rows.to_table().sort_by("kafka_offset")["country"].to_pylist()
    assert [country for country in countries if country] == ["DE"]
    assert len(countries) == 37


def test_a_column_of_another_type_is_an_error_that_names_the_table(table: Table, url: Path) -> None:
    """Nothing is appended: no value may come out as another."""
    other = pa.schema([*OWN, pa.field("customer_id", pa.string()), pa.field("amount", pa.string())])
    given = rows(ONE, 30, 1).drop_columns(["amount"]).append_column("amount", [["much"]]).cast(other)
    with pytest.raises(DataError, match="events"):
        table.append(given, {ONE: 30}, {ONE: 31})
    assert table.reached([ONE]) == {ONE: 30}


def test_imported_files_are_not_taken_over(url: Path) -> None:
    """A vacuum would delete what is in the folder and not in the table."""
    url.mkdir(parents=True)
    (url / "history.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"archive\.url"):
        Table(str(url)).reached([ONE])


def test_upkeep_changes_no_row_and_forgets_no_offset(table: Table, url: Path) -> None:
    """After compaction, checkpoint, clean-up and vacuum a reader sees the same rows, and an archiver goes on."""
    found = snapshot(str(url))
    assert found
    before = found.rows.to_table().sort_by("kafka_offset")
    assert delta_upkeep.compact(str(url)) == (2, 1)  # the two files of the first day
    DeltaTable(str(url)).create_checkpoint()
    DeltaTable(str(url)).cleanup_metadata()
    DeltaTable(str(url)).vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    found = snapshot(str(url))
    assert found
    assert found.rows.to_table().sort_by("kafka_offset") == before
    assert Table(str(url)).reached([ONE, OTHER]) == {ONE: 30, OTHER: 105}
    table.append(rows(ONE, 30, 1), {ONE: 30}, {ONE: 31})
    with pytest.raises(Overtaken):
        table.append(rows(ONE, 30, 1), {ONE: 30}, {ONE: 31})


def test_old_rows_are_removed_by_date(table: Table, url: Path) -> None:
    """Whole days go; how far the archive is stays known."""
    today = pa.scalar(3, pa.date32()).as_py()
    assert delta_upkeep.retain(str(url), 2, today) == 15
    assert offsets(url) == list(range(10, 30))
    assert delta_upkeep.retain(str(url), 2, today) == 0
    assert table.reached([ONE, OTHER]) == {ONE: 30, OTHER: 105}


def test_an_erased_person_is_in_no_file(table: Table, url: Path) -> None:
    """The rows go and so do their files; the log never had the id, not even as a least or largest one."""
    assert delta_upkeep.erase(str(url), Person("customer_id", "c103")) == 1
    assert offsets(url) == [*range(30), 100, 101, 102, 104]
    files = [path for path in url.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".parquet", ".json"}
    for path in files:
        held = path.read_bytes() if path.suffix != ".parquet" else str(pa.parquet.read_table(path)).encode()
        assert b"c103" not in held, path
    assert delta_upkeep.erase(str(url), Person("customer_id", "c1' OR '1'='1")) == 0


def test_refused_records_that_name_a_person_are_erased(tmp_path: Path) -> None:
    """By their JSON or their key; others whose id only begins alike stay."""
    values = [b'{"customer_id":"c1","amount":"x"}', b'{"customer_id" : "c1"', b'{"customer_id":"c10"}', b"{}"]
    own = rows(ONE, 0, 4).select([field.name for field in OWN]).columns
    given = [*own, pa.array([None, None, None, b"c1"], pa.binary()), pa.array(values, pa.binary()), *[["?"] * 4] * 3]
    table = Table(str(tmp_path / "refused"))
    table.append(pa.table(given, REFUSED), {}, {ONE: 4})
    assert delta_upkeep.erase_refused(table.url, "c1") == 3
    assert offsets(tmp_path / "refused") == [2]


def test_an_interrupted_erasure_is_completed_by_the_next(
    table: Table, url: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are in no version any more are still in files; those that an archiver is about to commit stay."""
    person = Person("customer_id", "c103")
    with monkeypatch.context() as patched:
        patched.setattr(delta_upkeep, "_gone", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            delta_upkeep.erase(str(url), person)
    assert holding(url, "c103")
    young = next(iter(holding(url, "c29"))).with_name("young.parquet")
    young.write_bytes(holding(url, "c29")[0].read_bytes())
    assert delta_upkeep.erase(str(url), person) == 0
    assert not holding(url, "c103")
    assert young.exists()
    assert offsets(url) == [*range(30), 100, 101, 102, 104]


def test_files_that_the_log_has_forgotten_go_too(table: Table, url: Path) -> None:
    """A removal of old rows, then no vacuum for longer than the log keeps what it gave up."""
    forgotten = holding(url, "c3")[0].with_name("forgotten.parquet")
    forgotten.write_bytes(holding(url, "c3")[0].read_bytes())
    assert delta_upkeep.retain(str(url), 2, pa.scalar(3, pa.date32()).as_py()) == 15
    os.utime(forgotten, (0, 0))
    assert delta_upkeep.erase(str(url), Person("customer_id", "c3")) == 0
    assert not holding(url, "c3")


def test_a_person_of_very_many_rows_is_erased(table: Table, url: Path) -> None:
    """No row of others between theirs; the library cannot take so many coordinates at once."""
    many = rows(ONE, 30, 80_000)
    named = pa.array(["c3" if offset % 2 else "other" for offset in range(80_000)])
    table.append(
        many.set_column(many.column_names.index("customer_id"), "customer_id", named), {ONE: 30}, {ONE: 80_030}
    )
    assert delta_upkeep.erase(str(url), Person("customer_id", "c3")) == 40_001
    assert len(offsets(url)) == 35 + 40_000 - 1


def test_a_young_file_is_never_vacuumed() -> None:
    """An archiver may be about to commit it."""
    with pytest.raises(DataError, match="hour"):
        delta_upkeep.vacuum("nowhere", 0)
