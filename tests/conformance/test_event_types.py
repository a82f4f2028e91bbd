"""Laws that every event type keeps, the built-in ones and those of the examples."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamscore.core.events.decode import Entry, Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import UNKNOWN, Columns
from streamscore.core.history.entity_history import EntityHistory
from streamscore.core.scoring.pipeline import process
from tests.support.generated import EVENT_TYPES, bodies, messages
from tests.support.samples import NOW, StubScorer, bundle, decoded, entries_of

LAW = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
EACH = pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.name)


def events_of(event_type: EventType, values: list[bytes]) -> list[Any]:
    entries = entries_of(event_type, list(values))
    assert all(entry.event is not None for entry in entries), [entry.dead_letter for entry in entries]
    return [entry.event for entry in entries]


def columns_of(event_type: EventType, events: list[Any]) -> Columns:
    """Columns as of a history that is empty, where each event is the first of its entities."""
    return EntityHistory(event_type).extended(event_type, event_type.columns(events))


def matrix_of(event_type: EventType, events: list[Any]) -> np.ndarray:
    return event_type.features.matrix(columns_of(event_type, events), len(events))


@EACH
@LAW
@given(data=st.data())
def test_round_trip(event_type: EventType, data: st.DataObject) -> None:
    """What is declared valid decodes, encodes and decodes again to the same event, and the same columns."""
    values = data.draw(bodies(event_type))
    entry = decoded(event_type, json.dumps(values).encode())
    assert entry.event is not None, (entry.dead_letter, values)
    assert entry.ignored == 0
    again = decoded(event_type, msgspec.json.encode(entry.event)).event
    assert again == entry.event
    for field in event_type.fields:
        found = getattr(entry.event, field.name)
        if field.kind == "time":
            found = found.isoformat(timespec="microseconds")
            assert found == datetime.fromisoformat(values[field.wire_name]).isoformat(timespec="microseconds")
        else:
            assert found == values.get(field.wire_name)
    assert np.array_equal(matrix_of(event_type, [entry.event]), matrix_of(event_type, [again]), equal_nan=True)


@EACH
@LAW
@given(data=st.data())
def test_events_are_frozen(event_type: EventType, data: st.DataObject) -> None:
    """No field of an event can be set."""
    (event,) = events_of(event_type, [data.draw(messages(event_type))])
    for field in event_type.fields:
        with pytest.raises(AttributeError):
            setattr(event, field.name, None)


@EACH
@LAW
@given(data=st.data())
def test_features_are_pure(event_type: EventType, data: st.DataObject) -> None:
    """Features are float32, finite or NaN, always the same, alone or in any order, and spoil no input."""
    events = events_of(event_type, data.draw(st.lists(messages(event_type), min_size=2, max_size=5)))
    columns = columns_of(event_type, events)
    before = {name: np.array(values).copy() for name, values in columns.items()}
    matrix = event_type.features.matrix(columns, len(events))
    assert matrix.dtype == np.float32
    assert matrix.shape == (len(events), len(event_type.features.names))
    assert (np.isfinite(matrix) | np.isnan(matrix)).all()
    assert all(np.array_equal(before[name], values, equal_nan=True) for name, values in columns.items())
    assert np.array_equal(event_type.features.matrix(columns, len(events)), matrix, equal_nan=True)
    order = data.draw(st.permutations(range(len(events))))
    shuffled = matrix_of(event_type, [events[i] for i in order])
    assert np.array_equal(shuffled, matrix[list(order)], equal_nan=True)
    alone = np.vstack([matrix_of(event_type, [event]) for event in events])
    assert np.array_equal(alone, matrix, equal_nan=True)


@EACH
@LAW
@given(data=st.data())
def test_categories_stay_in_range(event_type: EventType, data: st.DataObject) -> None:
    """A categorical feature's value is one of its codes, so that it has a column in the scaler."""
    events = events_of(event_type, [data.draw(messages(event_type))])
    row = matrix_of(event_type, events)[0]
    for feature, value in zip(event_type.features.features, row.tolist(), strict=True):
        if feature.categories:
            assert value in range(UNKNOWN, feature.categories)


@EACH
def test_categories_have_a_code_each(event_type: EventType) -> None:
    """A categorical feature of one field has as many codes as the field has values, and one for unknown."""
    fields = {field.name: field for field in event_type.fields}
    for feature in event_type.features.features:
        if feature.categories:
            (name,) = feature.fields
            assert feature.categories == len(fields[name].codes) + 1, name


@EACH
def test_reasons_format(event_type: EventType) -> None:
    """Every reason's words can be written for any value a feature may take, and hold no stray braces."""
    for feature in event_type.features.features:
        for value in (0.0, 1.0, -2.5, 1e9, float("inf")):
            for words in (feature.reason, feature.otherwise or feature.reason):
                text = words.format(value=value)
                assert text
                assert not set("{}") & set(text)


@EACH
def test_names_are_unique(event_type: EventType) -> None:
    """Features have names of their own, and decisions too."""
    assert len(set(event_type.features.names)) == len(event_type.features.names)
    assert len(set(event_type.decisions)) == 3
    assert 0 < event_type.decline_rate <= event_type.review_rate < 1


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


def both_ways(event_type: EventType, values: list[bytes]) -> None:
    """Each message of a batch becomes what it becomes alone."""
    for found, value in zip(entries_of(event_type, list(values)), values, strict=True):
        assert same(found, decoded(event_type, value))


@EACH
@LAW
@given(data=st.data())
def test_neighbours_do_not_matter(event_type: EventType, data: st.DataObject) -> None:
    """What becomes of a message in a batch, between fragments of others, is what becomes of it alone."""
    both_ways(event_type, data.draw(fragments(event_type)))


@EACH
@LAW
@given(data=st.data())
def test_fragments_of_a_text_do_not_heal(event_type: EventType, data: st.DataObject) -> None:
    """Two records that together would be one document are two dead letters, also where the cut is inside a text."""
    message = data.draw(messages(event_type))
    cut = data.draw(st.sampled_from([i for i in range(1, len(message)) if message[i : i + 1] == b'"'])) + 1
    pieces = [message, message[:cut], message[cut:] or b'"}', b'"}', message]
    both_ways(event_type, pieces)
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
    entries = decode(event_type, [entry.record for entry in entries_of(event_type, list(values))], NOW, Limits())
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
    outcome = process(entries, bundle(event_type, scorer), EntityHistory(event_type).extended, NOW, lambda _: None)
    assert len(outcome.scores) + len(outcome.dead_letters) == len(values)
    assert all(msgspec.json.decode(message.value or b"") for message in outcome.scores + outcome.alerts)
