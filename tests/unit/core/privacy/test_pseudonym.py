"""Pseudonyms: one name for one id wherever it stands, none without the key, and the same numbers of the past."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct

from examples.handbook import TRANSACTION as HANDBOOK
from streamscore.core.events.aggregate import Aggregate, raw
from streamscore.core.events.application import APPLICATION
from streamscore.core.events.decode import Entry
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import Feature, FeatureSet, as_is
from streamscore.core.events.field import known
from streamscore.core.events.label import label_columns
from streamscore.core.events.record import Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.history.entity_history import Bounds
from streamscore.core.privacy.pseudonym import Pseudonyms, pseudonymised, why_not, wrong_key
from streamscore.core.scoring.stream_history import StreamHistory
from tests.support.samples import StubScorer, bundle, by_amount

KEY = "a key that only this test has"
NAMES = Pseudonyms.of(KEY)
MOMENT = Annotated[datetime, Meta(tz=True)]
START, HOUR = datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)


class Transfer(Struct, frozen=True, gc=False):
    """Money from one account to another: ids that are texts, integers, and not always there."""

    event_id: str
    occurred_at: MOMENT
    sender: str
    receiver: str
    branch: int
    amount: Annotated[float, Meta(ge=0, le=100)]
    agent: str | None = None
    desk: int | None = None


WINDOW = timedelta(hours=5)
HISTORY = (
    Aggregate("sent", "sum", ("sender",), WINDOW, value="amount"),
    Aggregate("receivers", "distinct", ("sender",), WINDOW, value="receiver"),
    Aggregate("agents", "distinct", ("branch",), WINDOW, value="agent"),
    Aggregate("desks", "distinct", ("branch",), WINDOW, value="desk"),
    Aggregate("risk", "risk", ("sender", "branch"), WINDOW),
)
TRANSFER = EventType(
    "transfer",
    Transfer,
    ("event_id", "sender", "receiver", "branch", "agent", "desk"),
    FeatureSet(tuple(Feature(a.name, (a.name,), as_is, a.name) for a in HISTORY)),
    "bad",
    history=HISTORY,
)
BUNDLE = bundle(TRANSFER, StubScorer(by_amount))
PLACE = {("events", 0): 0}


def of_type(kind: Any) -> EventType:
    """An event type with one entity of a declared type."""
    struct = msgspec.defstruct("One", [("event_id", str), ("occurred_at", MOMENT), ("who", kind)])
    return EventType("one", struct, ("who",), FeatureSet(()), "bad")


def test_a_pseudonym_is_of_the_id_and_the_key_alone() -> None:
    """Equal ids have equal names in every batch; another key, or another id, gives another."""
    names = NAMES.named(["a", "b", None, "a"], whole=False)
    assert names[0] == names[3] == NAMES.named(["a"], whole=False)[0]
    assert names[2] is None
    assert len({*names, *Pseudonyms.of(f"{KEY}!").named(["a", "b"], whole=False)}) == 5
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in names if name)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50), st.lists(st.text(max_size=80), max_size=50))
def test_different_ids_have_different_pseudonyms_that_their_columns_hold(whole: list[int], texts: list[str]) -> None:
    """Integers become integers that 64 bits hold; none is the id itself."""
    for ids, kind in ((whole, True), (texts, False)):
        names = NAMES.named(ids, kind)
        assert len(set(names)) == len(set(ids))
        assert not set(names) & set(ids)
    assert all(0 <= name < 2**63 for name in NAMES.named(whole, whole=True))


def test_nothing_shows_the_key() -> None:
    """Neither what is printed of it, nor what tells it from another key."""
    assert KEY not in repr(NAMES)
    assert NAMES.key.hex() not in repr(NAMES)
    assert NAMES.key_id != Pseudonyms.of(f"{KEY}!").key_id
    assert NAMES.key_id not in NAMES.named(["", KEY, "streamscore key"], whole=False)


def test_event_ids_keep_their_names() -> None:
    """Also where they are declared as an entity."""
    assert [field.name for field in pseudonymised(TRANSFER)] == ["sender", "receiver", "branch", "agent", "desk"]


@pytest.mark.parametrize("event_type", [TRANSACTION, APPLICATION, HANDBOOK, TRANSFER], ids=lambda each: each.name)
def test_the_usual_ids_can_have_pseudonyms(event_type: EventType) -> None:
    """Texts and integers."""
    assert why_not(event_type) is None


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Annotated[str, Meta(max_length=31)], "too narrow"),
        (Annotated[str, Meta(pattern="^C")], "too narrow"),
        (Annotated[int, Meta(ge=0, le=10**6)], "too narrow"),
        (Annotated[int, Meta(ge=0, le=2**63 - 1)], None),
        (Annotated[str, Meta(max_length=32)] | None, None),
        (Literal["a", "b"], "neither a text nor an integer"),
        (Annotated[str, Meta(extra=known("a"))], "neither a text nor an integer"),
        (bool, "neither a text nor an integer"),
        (float, "neither a text nor an integer"),
    ],
)  # fmt: skip
def test_ids_that_can_have_none_are_told(kind: Any, why: str | None) -> None:
    """What an event type declares too narrow for a pseudonym could not be read again as that type."""
    told = why_not(of_type(kind))
    assert told is None if why is None else why in (told or "")


def test_an_id_that_a_feature_reads_can_have_none() -> None:
    """The model would learn from names."""
    read = replace(TRANSFER, features=FeatureSet((Feature("who", ("sender",), len, "id"),)))  # type: ignore[arg-type]
    assert "sender feeds features" in (why_not(read) or "")


def test_half_of_a_surrogate_pair_has_a_pseudonym() -> None:
    """An id that no encoding can write has a name all the same, another than what looks like it."""
    found = NAMES.named(["\ud800", "\ud801", "?"], whole=False)
    assert len(set(found)) == 3


def test_names_of_another_key_are_told() -> None:
    """What was kept under one key's names, or under none, says so wherever another is in force."""
    assert wrong_key("a", "a") is wrong_key(None, None) is None
    assert wrong_key(None, "a") == "its entities go by their ids, and pseudonyms.key is set"
    assert wrong_key("a", None) == "its entities go by pseudonyms, and pseudonyms.key is not set"
    assert wrong_key("a", "b") == "its entities go by pseudonyms of another key than pseudonyms.key"


def entries(rows: list[tuple[int, int, int, int]]) -> list[Entry]:
    """Transfers of a few accounts, an hour apart or at once."""
    found, at = [], START
    for n, (sender, receiver, branch, later) in enumerate(rows):
        at += later * HOUR
        event = Transfer(
            f"e{n:03}", at, f"account {sender}", f"account {receiver}", branch, float(n % 7),
            agent=f"agent {receiver}" if receiver else None, desk=branch * sender or None,
        )  # fmt: skip
        found.append(Entry(Record("events", 0, n, -1, None, b"", None), event, at.timestamp()))
    return found


def archived(events: list[Entry]) -> list[Transfer]:
    """The events as an archive holds them."""
    whole = {field.name: field.whole for field in pseudonymised(TRANSFER)}
    return [
        msgspec.structs.replace(
            cast(Transfer, entry.event), **{n: NAMES.named([getattr(entry.event, n)], w)[0] for n, w in whole.items()}
        )
        for entry in events
    ]


few = st.integers(0, 3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(few, few, few, few), min_size=1, max_size=60), st.data())
def test_the_numbers_are_those_without_a_key_wherever_the_past_is_from(
    rows: list[tuple[int, int, int, int]], data: st.DataObject
) -> None:
    """Of the topic, or a part of it out of an archive, with labels: equal to the last bit."""
    events = entries(rows)
    cut = data.draw(st.integers(0, len(events)))
    plain, keyed, restored = (StreamHistory(TRANSFER, Bounds(), PLACE, names) for names in (None, NAMES, NAMES))
    held = archived(events[:cut])
    restored.by_entity.fold(restored.by_entity.read(TRANSFER.columns(held)))
    frauds = [events[n] for n in range(0, len(events), 3)]
    for history in (plain, keyed, restored):
        told = [label(history, entry) for entry in frauds]
        history.prepare([*events[:cut], *told], BUNDLE, {})
    matrices = [history.prepare(events, BUNDLE, PLACE).matrix for history in (plain, keyed, restored)]
    assert np.array_equal(matrices[0], matrices[1], equal_nan=True)
    assert np.array_equal(matrices[0], matrices[2], equal_nan=True)


def label(history: StreamHistory, entry: Entry) -> Entry:
    """That an event was a fraud, known two hours later."""
    told = {name: getattr(entry.event, name) for name in ("occurred_at", *TRANSFER.entities)}
    known_at = told["occurred_at"] + 2 * HOUR
    said: Any = history.labels.struct(**told, label=True, labelled_at=known_at)
    return Entry(Record("labels", 0, entry.record.offset, -1, None, b"", None), said, known_at.timestamp())


def test_labels_have_the_names_of_their_events() -> None:
    """Else a label would be of nobody."""
    history = StreamHistory(TRANSFER, Bounds(), PLACE, NAMES)
    (event,) = entries([(1, 2, 3, 0)])
    columns = NAMES.columns(TRANSFER, label_columns(history.labels, [label(history, event).event]))
    (expected,) = archived([event])
    assert [columns[raw(name)][0] for name in ("event_id", "sender", "branch")] == [
        "e000", expected.sender, expected.branch
    ]  # fmt: skip
    history.prepare([event, label(history, event)], BUNDLE, {})
    assert history.by_entity.unmatched_labels == 0
