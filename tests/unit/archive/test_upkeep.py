"""`streamscore archive`: each command says what it did to each table, and does no more."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result
from deltalake import DeltaTable

from streamscore.archive.delta import Table
from streamscore.archive.ledger import Roll, TopicProgress
from streamscore.archive.read import Archive
from streamscore.archive.routes import routes
from streamscore.cli.main import cli
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import FeatureSet
from streamscore.core.events.record import Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import DataError, SettingsError
from streamscore.settings.schema import Settings
from streamscore.worker.checks import checks
from tests.support.running import transactions

NOW = datetime.now(UTC)
SETTINGS = Settings(inputs={"a": "transaction"}, labels={"b": "transaction"})
EVENTS = [json.loads(value or b"") for _, value in transactions(300)]
PERSON = EVENTS[7]["customer_id"]
WHOLE = EventType(
    "whole",
    msgspec.defstruct("Whole", [("event_id", str), ("occurred_at", datetime), ("account", int)]),
    ("account",),
    FeatureSet(()),
    "bad",
)


def archived(url: Path, topic: str, values: list[bytes], at: datetime, first: int = 0) -> None:
    """Write records of a topic as an archiver does, in one roll."""
    route = routes(SETTINGS)[topic]
    ledger = TopicProgress([Table(str(url / place)) for place in route.tables], route.tables)
    ledger.begin([(topic, 0)])
    records = [
        Record(topic, 0, row, int(at.timestamp() * 1000), None, value, None) for row, value in enumerate(values, first)
    ]
    roll = Roll()
    roll.add(route.rows(records, NOW), {(topic, 0): first + len(values)}, 0)
    ledger.write(roll)


@pytest.fixture
def url(tmp_path: Path) -> Path:
    """Events of two days in two files each, and labels; one of each cannot be read."""
    lines = [json.dumps(event).encode() for event in EVENTS]
    lines[9] = json.dumps(EVENTS[9] | {"customer_id": PERSON, "amount": -1}).encode()
    for number in range(4):
        day = NOW - timedelta(days=10 * (number // 2))
        archived(tmp_path, "a", lines[number * 75 :][:75], day, number * 75)
    told = [
        {name: event[name] for name in ("event_id", "occurred_at", *TRANSACTION.entities)}
        | {"label": True, "labelled_at": "2026-01-20T00:00:00Z"}
        for event in EVENTS[:20]
    ]
    archived(tmp_path, "b", [*(json.dumps(label).encode() for label in told), b"{"], NOW)
    return tmp_path


def run(url: Path, *arguments: str) -> Result:
    given = [f"archive.url={url}", "inputs={a: transaction}", "labels={b: transaction}"]
    flags = [part for setting in given for part in ("--set", setting)]
    return CliRunner().invoke(cli, ["archive", *arguments, *flags], catch_exceptions=True)


def events(url: Path) -> pa.Table:
    found = Archive(str(url / "transaction"), TRANSACTION).events(["event_id", "customer_id", "amount"])
    return pa.concat_tables(found).sort_by("event_id")


def test_compaction_says_what_became_of_the_files(url: Path) -> None:
    """Two days, a file each; what a reader sees is the same."""
    before = events(url)
    done = run(url, "compact")
    assert done.exit_code == 0, done.output
    assert "transaction/events: 4 files became 2\n" in done.output
    assert "transaction/labels: 0 files became 0\n" in done.output
    assert events(url) == before
    assert "transaction/events: 0 files became 0\n" in run(url, "compact").output


def test_vacuum_leaves_what_is_young(url: Path) -> None:
    """Files that compaction replaced a moment ago stay for those who read them."""
    run(url, "compact")
    done = run(url, "vacuum")
    assert done.exit_code == 0, done.output
    assert "transaction/events: 0 files deleted\n" in done.output
    assert run(url, "vacuum", "--hours", "0").exit_code == 2


def test_old_records_go_by_the_day(url: Path) -> None:
    """Those of ten days ago, when five are kept."""
    done = run(url, "retain", "--days", "5")
    assert done.exit_code == 0, done.output
    assert "transaction/events: 150 rows of more than 5 days ago removed\n" in done.output
    assert len(events(url)) == 149


def test_a_person_is_erased_from_every_table(url: Path) -> None:
    """Events, labels and what could not be read; others are untouched, and a second time there is nothing."""
    before = events(url)
    theirs = sum(name == PERSON for name in before["customer_id"].to_pylist())
    done = run(url, "erase", "--entity", f"customer_id={PERSON}")
    assert done.exit_code == 0, done.output
    assert f"transaction/events: {theirs:,} rows erased, and the files that held them\n" in done.output
    assert "transaction/labels: 1 rows erased, and the files that held them\n" in done.output
    assert "transaction/refused: 1 rows erased, and the files that held them\n" in done.output
    after = events(url)
    assert len(after) == len(before) - theirs
    assert PERSON not in after["customer_id"].to_pylist()
    for path in url.rglob("*.parquet"):
        assert PERSON not in str(pa.parquet.read_table(path).to_pydict()), path
    assert "transaction/events: 0 rows erased\n" in run(url, "erase", "--entity", f"customer_id={PERSON}").output


def test_a_person_is_erased_from_what_could_not_be_read(url: Path) -> None:
    """However the id stands there: escaped, cut off after it, under a misspelt name, in another encoding."""
    values = [b'{"customer_id":"m\\u00fcller"', '{"customer":"müller"}'.encode("utf-16"), "müller".encode("latin-1")]
    archived(url, "a", [*values, b'{"customer_id":"muller"}'], NOW, 300)
    done = run(url, "erase", "--entity", "customer_id=müller")
    assert "transaction/refused: 3 rows erased, and the files that held them\n" in done.output
    assert "transaction/refused: 0 rows erased\n" in run(url, "erase", "--entity", "customer_id=müller").output


@pytest.mark.parametrize(
    ("entity", "error"), [("merchant=m", SettingsError), ("customer_id", SystemExit), ("customer_id=", SystemExit)]
)
def test_an_entity_that_there_is_not(url: Path, entity: str, error: type[BaseException]) -> None:
    """A field that is no entity, or no id, erases nothing."""
    done = run(url, "erase", "--entity", entity)
    assert isinstance(done.exception, error)
    assert len(events(url)) == 299


@pytest.mark.parametrize("number", ["99999999999999999999999", "-9223372036854775809", "1.5"])
def test_a_number_that_no_column_holds(monkeypatch: pytest.MonkeyPatch, url: Path, number: str) -> None:
    """An entity that is a whole number has one of 64 bits."""
    monkeypatch.setattr("streamscore.archive.erase.find_event_type", lambda _: WHOLE)
    done = run(url, "erase", "--entity", f"account={number}")
    assert isinstance(done.exception, SettingsError)
    assert "account of whole events is a whole number of 64 bits" in str(done.exception)


@pytest.mark.parametrize("command", [["compact"], ["retain", "--days", "5"], ["erase", "--entity", "customer_id=c1"]])
def test_an_archive_that_is_not_there_is_an_error(tmp_path: Path, command: list[str]) -> None:
    """A misspelt URL must not pass for an archive in order; neither must one of no tables, or of others."""
    (tmp_path / "transaction").mkdir()
    for place in (tmp_path / "nowhere", tmp_path):
        done = run(place, *command)
        assert isinstance(done.exception, DataError)
        assert str(done.exception) == f"{place} holds no tables"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("command", [["retain", "--days", "5"], ["erase", "--entity", f"customer_id={PERSON}"]])
def test_tables_of_a_retired_event_type_are_told(url: Path, command: list[str]) -> None:
    """Its columns are unknown: they stay as they are, all else is done, and it does not pass for done."""
    shutil.copytree(url / "transaction/events", url / "loan/events")
    shutil.copytree(url / "transaction/events", url / "lake/visits")
    before = DeltaTable(str(url / "loan/events")).version()
    done = run(url, *command)
    assert isinstance(done.exception, DataError)
    assert "neither inputs nor labels: loan/events;" in str(done.exception)
    assert PERSON not in events(url)["customer_id"].to_pylist() or len(events(url)) == 149
    assert DeltaTable(str(url / "loan/events")).version() == before
    assert run(url, "compact").exit_code == 0


@pytest.mark.parametrize(
    "command", [["compact"], ["vacuum"], ["retain", "--days", "5"], ["erase", "--entity", f"customer_id={PERSON}"]]
)
def test_a_damaged_table_stops_no_other(url: Path, command: list[str]) -> None:
    """It is told at the end, and not as something that another try may help."""
    for log in (url / "transaction/events/_delta_log").glob("*.json"):
        log.write_text("{")
    done = run(url, *command)
    assert type(done.exception) is DataError
    assert "transaction/events: its log is damaged: " in str(done.exception)
    assert [line.partition(":")[0] for line in done.output.splitlines()[:2]] == [
        "transaction/labels",
        "transaction/refused",
    ]


def test_check_looks_at_the_archive(url: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that can be read is well, and so is none; one that is damaged is not."""
    monkeypatch.setattr("streamscore.worker.checks.BROKER_SECONDS", 0.01)
    given = SETTINGS.model_copy(update={"archive": SETTINGS.archive.model_copy(update={"url": str(url)})})
    assert dict(checks(given))[f"archive {url}"] is None
    for log in (url / "transaction/events/_delta_log").glob("*.json"):
        log.write_text("{")
    assert "transaction/events" in (dict(checks(given))[f"archive {url}"] or "")
