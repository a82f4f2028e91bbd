"""Challengers' risks in the archive: a table of each event type, and the rows of one pair of models read again."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from streamscore.archive.delta import Table
from streamscore.archive.erase import erased
from streamscore.archive.ledger import Roll, TopicProgress
from streamscore.archive.read import Archive
from streamscore.archive.routes import routes
from streamscore.archive.shadow import PublishedShadow, shadow_rows, shadowed
from streamscore.core.events.application import APPLICATION
from streamscore.core.events.record import Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.shadow import ShadowScore
from streamscore.settings.schema import Settings
from tests.support.samples import payment

NOW = datetime(2026, 2, 1, tzinfo=UTC)
SETTINGS = Settings(inputs={"a": "transaction"}, outputs={"shadow": "s"})


def said(number: int, **changes: Any) -> bytes:
    given = {
        "score_id": f"a-0-{number}",
        "event_id": f"tx-{number}",
        "event_type": "transaction",
        "entities": {"customer_id": f"c{number}", "terminal_id": "t"},
        "risk": number / 8,
        "champion_risk": number / 16,
        "model": "v2",
        "champion": "v1",
        "topic": "a",
        "partition": 0,
        "offset": number,
        "occurred_at": f"2026-01-0{number + 1}T00:00:00Z",
        "scored_at": "2026-01-31T00:00:00Z",
    }
    return json.dumps(given | changes).encode()


def records(values: list[bytes], topic: str = "s") -> list[Record]:
    return [Record(topic, 0, row, 1_769_990_400_000, b"k", value, None) for row, value in enumerate(values)]


def archived(url: Path, topic: str, values: list[bytes]) -> None:
    """Write records of a topic as an archiver does, in one roll."""
    route = routes(SETTINGS)[topic]
    ledger = TopicProgress([Table(str(url / place)) for place in route.tables], route.tables)
    ledger.begin([(topic, 0)])
    roll = Roll()
    roll.add(route.rows(records(values, topic), NOW), {(topic, 0): len(values)}, 0)
    ledger.write(roll)


def test_each_goes_to_the_table_of_its_type() -> None:
    """What is no such record, or of no type that is read, is refused and stops nobody."""
    given = [
        said(0),
        said(1, event_type="application", entities={"applicant_id": "x"}),
        said(2, event_type="lease"),
        b"{",
        said(3, entities="c3"),
        said(4, risk=None),
    ]
    found = shadow_rows([TRANSACTION, APPLICATION])(records(given), NOW)
    offsets = {place: table["kafka_offset"].to_pylist() for place, table in found.items()}
    assert offsets == {"transaction/shadow": [0], "application/shadow": [1], "refused": [2, 3, 4, 5]}
    row = found["transaction/shadow"].to_pylist()[0]
    assert (row["event_id"], row["risk"], row["champion_risk"], row["customer_id"]) == ("tx-0", 0.0, 0.0, "c0")
    assert (row["model"], row["champion"], row["input_topic"], row["input_offset"]) == ("v2", "v1", "a", 0)


def test_every_field_is_archived() -> None:
    """A field that shadow scores are given is noticed here."""
    assert PublishedShadow.__struct_fields__ == ShadowScore.__struct_fields__
    schema = shadow_rows([TRANSACTION])(records([said(0)]), NOW)["transaction/shadow"].schema
    elsewhere = {"event_type", "entities", "topic", "partition", "offset"}
    assert set(msgspec.json.decode(said(0))) - elsewhere < set(schema.names)


def test_the_topic_has_a_route_where_it_is_set() -> None:
    """And none where challengers are not asked."""
    assert routes(SETTINGS)["s"].tables == ("transaction/shadow", "refused")
    assert routes(Settings(inputs={"a": "transaction"})).keys() == {"a", "scores"}


def test_the_rows_of_a_pair_are_read(tmp_path: Path) -> None:
    """Of these two models and no others; nothing where there is no table yet."""
    archived(tmp_path, "a", [payment(event_id=f"tx-{number}") for number in range(5)])
    archive = Archive(str(tmp_path), TRANSACTION)
    assert list(shadowed(archive, TRANSACTION, ("v1", "v2"))) == []
    archived(tmp_path, "s", [said(0), said(1, champion="v0"), said(2, model="v3"), said(3)])
    rows = [row for table in shadowed(archive, TRANSACTION, ("v1", "v2")) for row in table.to_pylist()]
    assert sorted(row["event_id"] for row in rows) == ["tx-0", "tx-3"]
    assert set(rows[0]) == {"event_id", "occurred_at", "customer_id", "risk", "champion_risk"}


def test_a_person_is_erased_there_too(tmp_path: Path) -> None:
    """As from events and scores."""
    archived(tmp_path, "s", [said(number) for number in range(5)])
    settings = SETTINGS.model_copy(update={"archive": SETTINGS.archive.model_copy(update={"url": str(tmp_path)})})
    assert list(erased(settings, "customer_id", "c3")) == [
        "transaction/shadow: 1 rows erased, and the files that held them",
        "refused: 0 rows erased",
    ]
