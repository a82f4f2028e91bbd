"""An archive with a key: no id of a person in any byte, one key for all of it, and erasure by the id itself."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from streamscore.archive.archiver import Archiver, Parts
from streamscore.archive.delta import Table
from streamscore.archive.ledger import Roll, TopicProgress
from streamscore.archive.read import Archive, columns
from streamscore.archive.routes import routes
from streamscore.cli.main import cli
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import FeatureSet
from streamscore.core.events.record import Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.history.entity_history import among_themselves
from streamscore.core.privacy.pseudonym import Pseudonyms
from streamscore.core.scoring.decision import Score
from streamscore.core.scoring.shadow import ShadowScore
from streamscore.errors import DataError, SettingsError
from streamscore.settings.pseudonyms import key_id
from streamscore.settings.schema import Settings
from streamscore.worker.checks import checks
from streamscore.worker.startup import event_types
from tests.support.running import transactions
from tests.unit.core.scoring.test_stream_history import TYPE
from trainer.data.dataset import wire_events

NOW = datetime.now(UTC)
KEY, OTHER = "0123456789abcdef", "fedcba9876543210"
NAMES = Pseudonyms.of(KEY)
IDS = ("customer_id", "terminal_id")
EVENTS = [
    json.loads(value or b"") | {name: f"person-{row % 40}-{name}" for name in IDS}
    for row, (_, value) in enumerate(transactions(200))
]
PERSON = "person-7-customer_id"
SHARED = [name for name in ShadowScore.__struct_fields__ if name in Score.__struct_fields__]


def given(key: str | None) -> Settings:
    held = {"inputs": {"a": "transaction"}, "labels": {"b": "transaction"}, "outputs": {"shadow": "shadow"}}
    return Settings.model_validate(held | {"pseudonyms": {"key": key}})


def write(url: Path, topic: str, values: Sequence[bytes], key: str | None = KEY) -> None:
    """Write records of a topic as an archiver does, in one roll."""
    route = routes(given(key))[topic]
    tables = [Table(str(url / place), key_id=key_id(given(key))) for place in route.tables]
    ledger = TopicProgress(tables, route.tables)
    start = ledger.begin([(topic, 0)]).get((topic, 0), 0)
    records = [Record(topic, 0, start + row, 0, PERSON.encode(), value, None) for row, value in enumerate(values)]
    roll = Roll()
    roll.add(route.rows(records, NOW), {(topic, 0): start + len(values)}, 0)
    ledger.write(roll)


def lines() -> list[bytes]:
    """Events in two ways of writing, and two that cannot be read: one no JSON, one out of range."""
    written = [json.dumps(event).encode() for event in EVENTS]
    written[3] = written[3].replace(b"person", b"\\u0070erson")
    written[8] = written[8][:-4]
    written[9] = json.dumps(EVENTS[9] | {"amount": -1}).encode()
    return written


def labels() -> list[bytes]:
    answer = {"label": True, "labelled_at": "2026-01-20T00:00:00Z"}
    told = [{name: event[name] for name in ("event_id", "occurred_at", *IDS)} | answer for event in EVENTS[:50]]
    return [*(json.dumps(label).encode() for label in told), f'{{"customer_id": "{PERSON}"'.encode()]


def scores() -> list[bytes]:
    """Scores, and some of no event type that the archiver knows."""
    found = []
    for row, event in enumerate(EVENTS):
        kind, entities = "transaction" if row % 9 else "lease", {name: event[name] for name in IDS}
        score = Score(f"a-0-{row}", event["event_id"], kind, entities, 0.25, "review", "v1", "a", 0, row, NOW, NOW)
        found.append(msgspec.json.encode(score))
    return found


def shadows() -> list[bytes]:
    """What a challenger said of the same events."""
    both = {"risk": 0.5, "champion_risk": 0.25, "model": "v2", "champion": "v1"}
    read = [json.loads(score) for score in scores()]
    return [json.dumps({name: score[name] for name in SHARED} | both).encode() for score in read]


@pytest.fixture
def url(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    for topic, values in (("a", lines()), ("b", labels()), ("scores", scores()), ("shadow", shadows())):
        write(folder, topic, values)
    return folder


def content(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file, as its bytes and as what they hold once they are unpacked."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        unpacked = str(pa.parquet.read_table(path).to_pydict()) if path.suffix == ".parquet" else ""
        yield path, path.read_bytes().decode("latin-1") + unpacked


def held(url: Path, name: str, columns: Sequence[str]) -> pa.Table:
    archive = Archive(str(url), TRANSACTION)
    return pa.concat_tables((archive.events if name == "events" else archive.labels)(columns)).sort_by("event_id")


def run(url: Path, *arguments: str, key: str | None = KEY) -> Result:
    settings = [f"archive.url={url}", "inputs={a: transaction}", "labels={b: transaction}"]
    settings += [f"pseudonyms.key={key}"] if key else []
    flags = [part for setting in settings for part in ("--set", setting)]
    return CliRunner().invoke(cli, ["archive", *arguments, *flags], catch_exceptions=True)


def test_no_byte_of_the_archive_names_a_person(url: Path) -> None:
    """Neither rows nor the log, nor the bytes of what could not be read; without a key they do."""
    files = list(content(url))
    assert len([path for path, _ in files if path.suffix == ".parquet"]) >= 5
    for path, text in files:
        assert "person" not in text, path
        assert KEY not in text, path
    write(url.parent / "plain", "a", lines(), key=None)
    assert any("person" in text for _, text in content(url.parent / "plain"))


def test_all_else_is_as_it_was(url: Path, tmp_path: Path) -> None:
    """Event ids, times and numbers; what was refused says why and where its bytes are."""
    write(tmp_path / "plain", "a", lines(), key=None)
    names = [field.name for field in TRANSACTION.fields if field.name not in IDS]
    assert held(url, "events", names) == held(tmp_path / "plain", "events", names)
    refused = pa.parquet.read_table(url / "transaction/refused").to_pylist()
    assert {(row["kafka_topic"], row["kafka_offset"], row["reason"]) for row in refused} == {
        ("a", 8, "truncated"), ("a", 9, "out_of_range"), ("b", 50, "truncated")
    }  # fmt: skip
    assert {(row["key"], row["value"]) for row in refused} == {(None, None)}


def test_one_person_has_one_name_in_every_table(url: Path) -> None:
    """Events, labels, scores and challengers' risks join by it, as they joined by the id."""
    (name,) = NAMES.named([PERSON], whole=False)
    theirs = [event["event_id"] for row, event in enumerate(EVENTS) if row % 40 == 7]
    for table in ("events", "labels", "scores", "shadow"):
        rows = pa.parquet.read_table(url / "transaction" / table).to_pylist()
        found = {row["event_id"] for row in rows if row["customer_id"] == name}
        assert found
        assert found <= set(theirs)
        assert len({row["customer_id"] for row in rows}) == 40


def test_a_trainer_needs_no_key(url: Path) -> None:
    """What is archived can be written as events again, and gives the same numbers of the past."""
    archived = held(url, "events", [field.name for field in TRANSACTION.fields])
    assert all(msgspec.json.decode(line, type=TRANSACTION.struct) for line in wire_events(TRANSACTION, archived))
    plain = [json.dumps(event).encode() for row, event in enumerate(EVENTS) if row not in (8, 9)]
    said = sorted((msgspec.json.decode(line, type=TRANSACTION.struct) for line in plain), key=attrgetter("event_id"))
    numbers = [among_themselves(TYPE, found)["in_a_day"] for found in (columns(TYPE, archived), TYPE.columns(said))]
    assert np.array_equal(*numbers)
    assert max(numbers[0]) > 1


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [
        (KEY, OTHER, "pseudonyms of another key"),
        (KEY, None, "pseudonyms.key is not set"),
        (None, KEY, "its entities go by their ids"),
    ],
)
def test_two_namings_are_never_mixed(tmp_path: Path, first: str | None, then: str | None, why: str) -> None:
    """Another key, or none, or a new one: the archiver, `check` and erasure say so and change nothing."""
    write(tmp_path, "a", lines(), first)
    with pytest.raises(SettingsError, match=why):
        write(tmp_path, "a", lines(), then)
    done = run(tmp_path, "erase", "--entity", f"customer_id={PERSON}", key=then)
    assert isinstance(done.exception, SettingsError)
    assert why in str(done.exception)
    assert len(held(tmp_path, "events", ["event_id"])) == 198


def test_check_says_it(url: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before an archiver is started."""
    monkeypatch.setattr("streamscore.worker.checks.BROKER_SECONDS", 0.01)
    for key, why in ((KEY, None), (OTHER, "pseudonyms of another key")):
        settings = given(key).model_copy(update={"archive": given(key).archive.model_copy(update={"url": str(url)})})
        said = dict(checks(settings))[f"archive {url}"]
        assert (why or "") in (said or "")
        assert (said is None) == (why is None)


def test_the_key_is_in_no_refusal(url: Path) -> None:
    """What refuses it does not quote it."""
    done = run(url, "erase", "--entity", f"customer_id={PERSON}", key=OTHER)
    assert OTHER not in f"{done.output} {done.exception}"


def test_events_and_labels_of_two_keys_are_not_read(tmp_path: Path) -> None:
    """Labels would be of nobody."""
    write(tmp_path, "a", lines()[10:], KEY)
    write(tmp_path, "b", labels()[:-1], OTHER)
    with pytest.raises(DataError, match="pseudonyms of different keys"):
        Archive(str(tmp_path), TRANSACTION)


def test_erasure_takes_the_id_itself(url: Path) -> None:
    """Of the person whose id it is, nothing is left, and of others everything."""
    before = held(url, "events", ["event_id", "customer_id"])
    done = run(url, "erase", "--entity", f"customer_id={PERSON}")
    assert done.exit_code == 0, done.output
    assert "transaction/events: 5 rows erased, and the files that held them\n" in done.output
    assert "transaction/labels: 2 rows erased, and the files that held them\n" in done.output
    assert "transaction/scores: 5 rows erased, and the files that held them\n" in done.output
    after = held(url, "events", ["event_id", "customer_id"])
    (name,) = NAMES.named([PERSON], whole=False)
    assert len(before) - len(after) == 5
    assert not [path for path, text in content(url) if name in text]
    write(url, "a", lines())  # the table is as good as before


def test_an_event_type_whose_ids_can_have_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By archiver and worker, before a record is read; without a key it is archived as it is."""
    kind = msgspec.defstruct("Narrow", [("event_id", str), ("occurred_at", datetime), ("who", bool)])
    narrow = EventType("narrow", kind, ("who",), FeatureSet(()), "bad")
    monkeypatch.setattr("streamscore.archive.routes.find_event_type", lambda _: narrow)
    with pytest.raises(SettingsError, match="narrow events, who is neither"):
        routes(given(KEY))
    monkeypatch.setattr("streamscore.worker.startup.find_event_type", lambda _: narrow)
    with pytest.raises(SettingsError, match="narrow events, who is neither"):
        event_types(given(KEY))
    assert routes(given(None))
    assert event_types(given(None))


def test_the_archiver_writes_with_its_key(tmp_path: Path) -> None:
    """Its tables are made with the key_id of the settings."""
    settings = given(KEY)
    settings = settings.model_copy(update={"archive": settings.archive.model_copy(update={"url": str(tmp_path)})})
    parts = Parts(routes(settings), None, None, None, accept_gaps=False)  # type: ignore[arg-type]
    archiver = Archiver(settings, parts)
    assert archiver._table("transaction/events")._key_id == NAMES.key_id


def test_snapshots_go_with_the_person(url: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of an event type that has a history, also where the archive has none of it; those of others stay."""
    monkeypatch.setattr("streamscore.archive.erase.find_event_type", lambda _: TYPE)
    places = [tmp_path / "snapshots" / name / "20260101T000000-a" for name in (TYPE.name, "other")]
    for place in places:
        place.mkdir(parents=True)
        (place / "manifest.json").write_text("{}")
    done = run(url, "erase", "--entity", f"customer_id={PERSON}", "--set", f"history.snapshots={tmp_path}/snapshots")
    assert "holds no tables of remembered events" in str(done.exception)
    assert "remembered: 1 snapshots removed\n" in done.output
    assert [place.exists() for place in places] == [False, True]
