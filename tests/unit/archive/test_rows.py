"""From records to rows: each record in one table, what it said under its fields' own names."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import msgspec
import pyarrow as pa
import pytest
from msgspec import Meta, Struct

from streamscore.archive.routes import routes
from streamscore.archive.rows import Rows, event_rows, label_rows
from streamscore.archive.scores import PublishedScore, score_rows
from streamscore.core.events.application import APPLICATION
from streamscore.core.events.decode import Limits
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import FeatureSet
from streamscore.core.events.record import Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.decision import Reason, Score
from streamscore.errors import SettingsError
from streamscore.settings.schema import Settings
from tests.support.running import transactions

NOW = datetime(2026, 2, 1, tzinfo=UTC)
STAMP = 1_769_990_399_999  # the last millisecond of that day


class Counted(Struct, frozen=True, gc=False):
    """An event with an integer of any size."""

    event_id: str
    occurred_at: Annotated[datetime, Meta(tz=True)]
    count: int
    seen_at: datetime | None = None


COUNTED = EventType("counted", Counted, ("event_id",), FeatureSet(()), "bad")


def record(value: bytes | None, offset: int = 0, timestamp: int = STAMP, topic: str = "t") -> Record:
    return Record(topic, 3, offset, timestamp, b"key", value, None)


def counted(**fields: Any) -> bytes:
    given = {"event_id": "e", "occurred_at": "2026-01-01T00:00:00Z", "count": 1} | fields
    return json.dumps(given).encode()


def coordinates(rows: Rows) -> dict[str, list[int]]:
    return {place: table["kafka_offset"].to_pylist() for place, table in rows.items()}


def test_events_are_what_they_said() -> None:
    """Each field of each event is in the column of its name, to the microsecond and the last digit."""
    values = [value for _, value in transactions(200)]
    found = event_rows(TRANSACTION, Limits())([record(value, row) for row, value in enumerate(values)], NOW)
    assert found.keys() == {"transaction/events"}
    rows = found["transaction/events"].to_pylist()
    for row, value in zip(rows, values, strict=True):
        event = msgspec.json.decode(value or b"", type=TRANSACTION.struct)
        assert {name: row[name] for name in TRANSACTION.struct.__struct_fields__} == msgspec.structs.asdict(event)
    assert [row["kafka_offset"] for row in rows] == list(range(200))
    assert {(row["kafka_topic"], row["kafka_partition"]) for row in rows} == {("t", 3)}


def test_rows_are_of_the_date_of_their_record() -> None:
    """By Kafka's timestamp, in UTC; by the clock where there is none."""
    found = event_rows(COUNTED, Limits())([record(counted(), 0), record(counted(), 1, timestamp=-1)], NOW)
    rows = found["counted/events"].to_pylist()
    assert [row["date"] for row in rows] == [date(2026, 2, 1), NOW.date()]
    assert [row["kafka_timestamp"] for row in rows] == [datetime.fromtimestamp(STAMP / 1000, UTC), None]


def test_what_is_no_event_is_refused_as_it_came() -> None:
    """With its bytes and the reason, and its neighbours are none the worse for it."""
    given = [counted(), b"{", None, counted(occurred_at="2027-01-01T00:00:00Z"), counted(count=2)]
    found = event_rows(COUNTED, Limits())([record(value, row) for row, value in enumerate(given)], NOW)
    assert coordinates(found) == {"counted/events": [0, 4], "counted/refused": [1, 2, 3]}
    refused = found["counted/refused"].to_pylist()
    assert [(row["key"], row["value"], row["reason"]) for row in refused] == [
        (b"key", b"{", "truncated"),
        (b"key", None, "empty"),
        (b"key", given[3], "in_future"),
    ]


@pytest.mark.parametrize("rows", [1, 2, 7, 50])
def test_a_value_that_no_column_holds_is_refused_alone(rows: int) -> None:
    """An integer beyond 64 bits is a valid event, and stops neither its batch nor the archiver."""
    given = [counted(count=1 << 70 if row == rows // 2 else row) for row in range(rows)]
    found = event_rows(COUNTED, Limits())([record(value, row) for row, value in enumerate(given)], NOW)
    left = [row for row in range(rows) if row != rows // 2]
    assert coordinates(found) == {"counted/events": left, "counted/refused": [rows // 2]}
    assert found["counted/events"]["count"].to_pylist() == left


def test_times_beyond_the_checked_ones_are_exact() -> None:
    """A time of one's own may be missing, or centuries away."""
    far = "2926-01-01T00:00:00.000001Z"
    found = event_rows(COUNTED, Limits())([record(counted(seen_at=far)), record(counted())], NOW)
    assert found["counted/events"]["seen_at"].to_pylist() == [datetime.fromisoformat(far), None]


def test_labels_are_rows_of_their_own_table() -> None:
    """A label that was known in the future, or has none, is refused."""
    label = {"event_id": "e", "occurred_at": "2026-01-01T00:00:00Z", "customer_id": "c", "terminal_id": "t"}
    given = [
        label | {"label": True, "labelled_at": "2026-01-20T00:00:00Z"},
        label | {"label": False, "labelled_at": "2027-01-01T00:00:00Z"},
        label,
    ]
    records = [record(json.dumps(value).encode(), row) for row, value in enumerate(given)]
    found = label_rows(TRANSACTION, Limits())(records, NOW)
    assert coordinates(found) == {"transaction/labels": [0], "transaction/refused": [1, 2]}
    row = found["transaction/labels"].to_pylist()[0]
    assert (row["label"], row["customer_id"], row["labelled_at"]) == (True, "c", datetime(2026, 1, 20, tzinfo=UTC))


def score(event_type: str, entities: Mapping[str, Any], **fields: Any) -> bytes:
    given = Score(
        "t-0-1", "e", event_type, entities, 0.25, "review", "v1", "t", 0, 1, NOW, NOW + timedelta(seconds=1), **fields
    )
    return msgspec.json.encode(given)


def test_scores_go_to_the_table_of_their_type() -> None:
    """Scores of all types share a topic; what is nested is JSON, and what no type claims is refused."""
    why = (Reason("amount", "much", 1.5),)
    given = [
        score("transaction", {"customer_id": "c", "terminal_id": "t"}, reasons=why, features={"amount": None}),
        score("application", {"applicant_id": "a"}, duplicate=True),
        score("lease", {"customer_id": "c"}),
        b"[]",
    ]
    records = [record(value, row) for row, value in enumerate(given)]
    found = score_rows([TRANSACTION, APPLICATION])(records, NOW)
    assert coordinates(found) == {"transaction/scores": [0], "application/scores": [1], "refused": [2, 3]}
    row = found["transaction/scores"].to_pylist()[0]
    assert (row["customer_id"], row["risk"], row["input_topic"], row["input_offset"]) == ("c", 0.25, "t", 1)
    assert json.loads(row["reasons"]) == [{"code": "amount", "text": "much", "contribution": 1.5}]
    assert json.loads(row["features"]) == {"amount": None}
    assert found["application/scores"]["duplicate"].to_pylist() == [True]


def test_every_field_of_a_score_is_archived() -> None:
    """A field that scores are given is noticed here."""
    assert set(PublishedScore.__struct_fields__) == set(Score.__struct_fields__)


def test_a_field_may_not_have_the_name_of_a_column_of_the_archive() -> None:
    """It would replace it; that is said before anything is read."""
    clash = msgspec.defstruct(
        "Clash", [("event_id", str), ("occurred_at", Annotated[datetime, Meta(tz=True)]), ("date", str)]
    )
    with pytest.raises(SettingsError, match="date"):
        event_rows(EventType("clash", clash, ("event_id",), FeatureSet(()), "bad"), Limits())


def test_each_topic_has_its_route() -> None:
    """Inputs, labels and scores, the table that says how far the archive is last."""
    found = routes(Settings(inputs={"a": "transaction"}, labels={"b": "transaction"}))
    assert {topic: route.tables for topic, route in found.items()} == {
        "a": ("transaction/refused", "transaction/events"),
        "b": ("transaction/refused", "transaction/labels"),
        "scores": ("transaction/scores", "refused"),
    }


def test_the_name_of_a_type_is_that_of_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that leads elsewhere is refused."""
    monkeypatch.setattr(
        "streamscore.archive.routes.find_event_type", lambda _: replace(TRANSACTION, name="../elsewhere")
    )
    with pytest.raises(SettingsError, match="folder"):
        routes(Settings())


def test_no_records_are_no_rows() -> None:
    """A roll without rows has the columns of one with some."""
    found = event_rows(TRANSACTION, Limits())([], NOW)
    some = event_rows(TRANSACTION, Limits())([record(value) for _, value in transactions(1)], NOW)
    assert found["transaction/events"].schema == some["transaction/events"].schema
    assert isinstance(found["transaction/events"], pa.Table)
    assert len(found["transaction/events"]) == 0
