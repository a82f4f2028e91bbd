"""`streamscore archive`: each command says what it did to each table, and does no more."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from streamscore.archive_read import Archive
from streamscore.archive_routes import routes
from streamscore.checks import checks
from streamscore.cli import cli
from streamscore.core.event import Record
from streamscore.core.transaction import TRANSACTION
from streamscore.delta import Table
from streamscore.errors import DataError, SettingsError
from streamscore.ledger import Ledger, Roll
from streamscore.settings import Settings
from tests.running import transactions

NOW = datetime.now(UTC)
SETTINGS = Settings(inputs={"a": "transaction"}, labels={"b": "transaction"})
EVENTS = [json.loads(value or b"") for _, value in transactions(300)]
PERSON = EVENTS[7]["customer_id"]


def archived(url: Path, topic: str, values: list[bytes], at: datetime, first: int = 0) -> None:
    """Write records of a topic as an archiver does, in one roll."""
    route = routes(SETTINGS)[topic]
    ledger = Ledger([Table(str(url / place)) for place in route.tables], route.tables)
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


@pytest.mark.parametrize(
    ("entity", "error"), [("merchant=m", SettingsError), ("customer_id", SystemExit), ("customer_id=", SystemExit)]
)
def test_an_entity_that_there_is_not(url: Path, entity: str, error: type[BaseException]) -> None:
    """A field that is no entity, or no id, erases nothing."""
    done = run(url, "erase", "--entity", entity)
    assert isinstance(done.exception, error)
    assert len(events(url)) == 299


def test_an_archive_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A misspelt URL must not pass for an archive in order."""
    assert isinstance(run(tmp_path / "nowhere", "compact").exception, DataError)


def test_check_looks_at_the_archive(url: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that can be read is well, and so is none; one that is damaged is not."""
    monkeypatch.setattr("streamscore.checks.BROKER_SECONDS", 0.01)
    given = SETTINGS.model_copy(update={"archive": SETTINGS.archive.model_copy(update={"url": str(url)})})
    assert dict(checks(given))[f"archive {url}"] is None
    for log in (url / "transaction/events/_delta_log").glob("*.json"):
        log.write_text("{")
    assert "transaction/events" in (dict(checks(given))[f"archive {url}"] or "")
