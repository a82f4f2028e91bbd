"""Laws that every event type keeps, the built-in ones and those of the examples."""

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples import handbook_history
from streamscore.core.events.decode import Entry
from streamscore.core.events.event_type import EventType
from streamscore.core.history.entity_history import EntityHistory
from streamscore.testing import check_event_type
from streamscore.testing.laws import check_features, check_neighbours, check_round_trip
from tests.support.generated import EVENT_TYPES, bodies, messages
from tests.support.samples import StubScorer, bundle, decoded, entries_of, process

LAW = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
EACH = pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.name)


@pytest.mark.parametrize("event_type", [*EVENT_TYPES, handbook_history.TRANSACTION], ids=lambda found: found.name)
def test_the_shipped_laws_hold(event_type: EventType) -> None:
    """`check_event_type`, which users run on their own event types, finds nothing."""
    check_event_type(event_type)


@EACH
@LAW
@given(data=st.data())
def test_round_trip(event_type: EventType, data: st.DataObject) -> None:
    """What is declared valid decodes, encodes and decodes again to the same frozen event, and the same features."""
    values = data.draw(bodies(event_type))
    check_round_trip(event_type, values)
    event = decoded(event_type, msgspec.json.encode(values)).event
    for field in event_type.fields:
        if field.kind == "time":
            given_time = datetime.fromisoformat(values[field.wire_name])
            assert getattr(event, field.name).isoformat() == given_time.isoformat()


@EACH
@LAW
@given(data=st.data())
def test_features_are_pure(event_type: EventType, data: st.DataObject) -> None:
    """Features are float32, finite or NaN, always the same, alone or in any order, in range, and spoil no input."""
    drawn = data.draw(st.lists(messages(event_type), min_size=2, max_size=5))
    check_features(event_type, drawn, data.draw(st.permutations(range(len(drawn)))))


@st.composite
def fragments(draw: st.DrawFn, event_type: EventType) -> list[bytes]:
    """Valid messages, some cut in two at any byte, in the order of their pieces, among whole ones."""
    values: list[bytes] = []
    for message in draw(st.lists(messages(event_type), min_size=1, max_size=3)):
        if draw(st.booleans()):
            values.append(message)
            continue
        cut = draw(st.integers(1, len(message) - 1))
        values += [message[:cut], message[cut:]]
    return values


def same(found: Entry, expected: Entry) -> bool:
    said, other = ((e.event, e.at, e.dead_letter, e.ignored, e.record.value) for e in (found, expected))
    return said == other


@EACH
@LAW
@given(data=st.data())
def test_neighbours_do_not_matter(event_type: EventType, data: st.DataObject) -> None:
    """What becomes of a message in a batch, between fragments of others, is what becomes of it alone."""
    check_neighbours(event_type, data.draw(fragments(event_type)))


@EACH
@LAW
@given(data=st.data())
def test_fragments_of_a_text_do_not_heal(event_type: EventType, data: st.DataObject) -> None:
    """Two records that together would be one document are two dead letters, also where the cut is inside a text."""
    message = data.draw(messages(event_type))
    cut = data.draw(st.sampled_from([i for i in range(1, len(message)) if message[i : i + 1] == b'"'])) + 1
    pieces = [message, message[:cut], message[cut:] or b'"}', b'"}', message]
    check_neighbours(event_type, pieces)
    entries = entries_of(event_type, list(pieces))
    assert [entry.event is not None for entry in entries] == [True, False, False, False, True]


@st.composite
def anything(draw: st.DrawFn, event_type: EventType) -> bytes:
    """Any bytes, or a valid message with some of its bytes replaced, removed, repeated or inserted."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=80))
    message = bytearray(draw(messages(event_type)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(message)))
        length = draw(st.integers(0, 12))
        piece = draw(st.binary(max_size=3) | st.sampled_from([b'"', b"\\", b"{", b"null", b"\\ud800", b"1e999", b"-"]))
        message[at : at + length] = draw(st.sampled_from([piece, bytes(message[at : at + length]) * 2]))
    return bytes(message)


@EACH
@settings(LAW, max_examples=80)
@given(data=st.data())
def test_any_bytes_become_an_event_or_a_dead_letter(event_type: EventType, data: st.DataObject) -> None:
    """Whatever bytes come in, one thing comes out, in plain words, and can be published; nothing is raised."""
    values = data.draw(st.lists(anything(event_type), min_size=1, max_size=4))
    entries = entries_of(event_type, list(values))
    for entry, value in zip(entries, values, strict=True):
        assert (entry.event is None) != (entry.dead_letter is None)
        assert same(entry, decoded(event_type, value))
        if entry.dead_letter:
            names = {field.wire_name for field in event_type.fields}
            assert entry.dead_letter.field in names | {""}
            assert entry.dead_letter.error.isascii()
        else:
            assert entry.event is not None
            assert 0 <= entry.at == entry.event.occurred_at.astimezone(UTC).timestamp()
    scorer = StubScorer(lambda matrix: np.full(len(matrix), 0.9), {0: 1.0})
    outcome = process(entries, bundle(event_type, scorer), EntityHistory(event_type).extended)
    assert len(outcome.scores) + len(outcome.dead_letters) == len(values)
    assert all(msgspec.json.decode(message.value or b"") for message in outcome.scores + outcome.alerts)
