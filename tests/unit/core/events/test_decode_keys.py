"""Repeated and undeclared keys are found however a sender writes his JSON."""

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamscore.core.events.decode import Limits, decode
from streamscore.core.events.transaction import TRANSACTION
from tests.support.samples import NOW, PAYMENT, decoded, payment, record

WHOLE = payment(device_id="d1")


def with_tail(tail: str) -> bytes:
    return WHOLE[:-1] + tail.encode() + b"}"


@pytest.mark.parametrize(
    "tail",
    [
        ',"amount":1',
        ', "amount" : 1',
        ',\n\t"amount"\r\n:\t1',
        r',"\u0061mount":1',
        r',"amoun\u0074" :1',
        ',"device_id":null',
        ',"device_id":"d1"',
        r',"device_id":"\""',
        ',"recurring":true,"extra":[1]',
    ],
)
def test_repeated_keys_are_refused(tail: str) -> None:
    """A declared key that stands twice is refused, whatever whitespace, escapes or null it comes with."""
    refused = decoded(TRANSACTION, with_tail(tail)).dead_letter
    assert refused is not None
    assert refused.reason == "duplicate_key"
    assert refused.field in PAYMENT | {"device_id": ""}


@pytest.mark.parametrize("first", ["null", '"d"'])
@pytest.mark.parametrize("second", ["null", '"d"'])
def test_repeated_optional_keys(first: str, second: str) -> None:
    """An optional key that stands twice is refused, in every combination of null and value."""
    value = payment()[:-1] + f',"device_id":{first},"device_id":{second}}}'.encode()
    refused = decoded(TRANSACTION, value).dead_letter
    assert refused is not None
    assert (refused.reason, refused.field) == ("duplicate_key", "device_id")


@pytest.mark.parametrize(
    ("tail", "ignored"),
    [
        ("", 0),
        (',"extra":1', 1),
        (',"a":null,"b":"x"', 2),
        (',"extra":{"amount":1,"amount":2,"x":{"amount":3}}', 1),
        (r',"extra":"\"amount\":1"', 1),
        (',"extra":[{"amount":1},{"amount":1}]', 1),
        (',"Amount":1," amount":2', 2),
        (',"":0', 1),
    ],
)
def test_undeclared_fields_are_counted(tail: str, ignored: int) -> None:
    """Undeclared keys are ignored and counted; keys inside their values are no keys of the event."""
    entry = decoded(TRANSACTION, with_tail(tail))
    assert entry.event == decoded(TRANSACTION, WHOLE).event
    assert entry.ignored == ignored


@pytest.mark.parametrize("tail", [',"extra":"\\ud800"', ',"extra":NaN', ',"extra":01', ',"extra":[1,]', ',"extra"'])
def test_undeclared_fields_must_be_json(tail: str) -> None:
    """A message whose undeclared part is not JSON is refused."""
    assert decoded(TRANSACTION, with_tail(tail)).event is None


@pytest.mark.parametrize("broken", [b"\xff", b"\xed\xa0\x80", b"\xc3"])
def test_undeclared_fields_must_be_utf8(broken: bytes) -> None:
    """Bytes that are not UTF-8 are refused also where the event does not look: in undeclared keys and values."""
    for tail in (b',"extra":"' + broken + b'"}', b',"' + broken + b'":1}'):
        refused = decoded(TRANSACTION, WHOLE[:-1] + tail).dead_letter
        assert refused is not None
        assert refused.reason == "bad_utf8"


def test_quotation_marks_in_values() -> None:
    """Escaped marks in a value, as text or as code, are part of it and no sign of a further key."""
    for written in (r"\"amount\":1,\"amount\":2", r"\u0022\\\u0022", "\\\\"):
        value = WHOLE.replace(b'"c1"', f'"{written}"'.encode())
        entry = decoded(TRANSACTION, value)
        assert entry.event is not None, entry.dead_letter
        assert msgspec.to_builtins(entry.event)["customer_id"] == json.loads(f'"{written}"')
        assert entry.ignored == 0


SPACE = st.sampled_from(["", " ", "\n", "\t \r"])
EXTRA = st.tuples(
    st.sampled_from(["extra", "amount ", "AMOUNT", 'a"b', "é"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(['"', "amount", '"amount":1', "\\"]),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["amount", "x"]), inner),
        max_leaves=4,
    ),
)
REPEATED = st.sampled_from([(key, PAYMENT[key]) for key in PAYMENT])


@st.composite
def documents(draw: st.DrawFn) -> tuple[bytes, list[str]]:
    """A transaction with extra and repeated keys, written in some legal way, and its keys."""
    extra, repeated = draw(st.lists(EXTRA, max_size=2)), draw(st.lists(REPEATED, max_size=1))
    pairs: list[tuple[str, Any]] = [*PAYMENT.items(), *extra, *repeated]
    device: list[tuple[str, Any]] = draw(st.sampled_from([[], [("device_id", None)], [("device_id", 'd"1')]]))
    pairs = draw(st.permutations([*pairs, *device]))
    written = []
    for key, value in pairs:
        text = json.dumps(key, ensure_ascii=draw(st.booleans()))
        if draw(st.booleans()):
            text = f'"\\u{ord(key[0]):04x}' + json.dumps(key[1:])[1:]
        written.append(f"{draw(SPACE)}{text}{draw(SPACE)}:{draw(SPACE)}{json.dumps(value)}{draw(SPACE)}")
    return ("{" + ",".join(written) + "}").encode(), [key for key, _ in pairs]


@settings(deadline=None, max_examples=200)
@given(documents())
@example((payment(), list(PAYMENT)))
def test_any_way_of_writing_keys(document: tuple[bytes, list[str]]) -> None:
    """Order, whitespace and escapes change nothing: a repeated key is refused, others are counted."""
    value, keys = document
    entry = decoded(TRANSACTION, value)
    declared = {field.wire_name for field in TRANSACTION.fields}
    if max(Counter(keys).values()) > 1:
        assert entry.dead_letter is not None
        assert entry.dead_letter.reason == "duplicate_key"
    else:
        assert entry.event is not None, entry.dead_letter
        assert entry.ignored == len(set(keys) - declared)


def test_no_neighbour_matters_to_the_count() -> None:
    """Counting keys of one message is not put out by the message before it."""
    values = [with_tail(',"amount":1'), WHOLE, with_tail(',"x":1'), WHOLE]
    entries = decode(TRANSACTION, [record(value, i) for i, value in enumerate(values)], NOW, Limits())
    found = [(entry.event is not None, entry.ignored) for entry in entries]
    assert found == [(False, 0), (True, 0), (True, 1), (True, 0)]
