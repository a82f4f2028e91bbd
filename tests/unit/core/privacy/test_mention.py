"""What may be a person's in a record that could not be read: any form of the id, and no more than need be."""

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamscore.core.privacy.mention import mentions


def wire(who: object, name: str = "who") -> str:
    return json.dumps({"event_id": "x", "occurred_at": "2026-07-08T10:20:30.5+02:00", name: who, "amount": -1})


@pytest.mark.parametrize(
    ("identity", "value"),
    [
        ("müller", wire("müller").encode()),  # \u00fc
        ("müller", json.dumps({"who": "müller"}, ensure_ascii=False).encode()),
        ("müller", json.dumps({"who": "müller"}, ensure_ascii=False).encode("latin-1")),
        ("müller", json.dumps({"who": "müller"}, ensure_ascii=False).encode("utf-16")),
        ("müller", json.dumps({"who": "müller"}, ensure_ascii=False).encode("utf-16-be")),
        ("müller", json.dumps({"who": "müller"}, ensure_ascii=False).encode("utf-32")),
        ("müller", json.dumps({"payload": wire("müller")}).encode()),
        ("😀", wire("😀").encode()),
        ('a"b', wire('a"b').encode()),
        ("a\\b", wire("a\\b").encode()),
        ("a/b", rb'{"who":"a\/b"}'),
        ("p3", wire("p3", "WHO").encode()),
        ("p3", wire("p3").replace('"who"', '"\\u0077ho"').encode()),
        ("p3", b'{"event_id":"x","who":"p3'),
        ("p3", b"{'who': 'p3'}"),
        ("p3", b"p3"),
        ("p3", b"7|p3"),
        ("p3", b"\x00\x04p3z\x01"),
        (77, b'{"account":77'),
        (77, b'{"account":77.0}'),
        (77, b'{"account":7.7e1}'),
        (77, b'{"account":77e'),
        (77, b'{"account":"77"}'),
        (77, b'{"account":077}'),
        (77, b"2026-01-01T00:00:00,77,5.0"),
        (77, b"3-77"),
        (-5, b'{"account":-5}'),
        ("0077", b'{"who":77}'),
        (2**62 + 1, b'{"account":4611686018427387905}'),
    ],
)
def test_an_id_is_found_in_any_form(identity: str | int, value: bytes) -> None:
    """Escaped, in another encoding, in another field, cut off after it, among bytes, as another numeral."""
    assert mentions(identity)(value)


@pytest.mark.parametrize(
    ("identity", "value"),
    [
        ("c1", b'{"who":"c10"}'),
        ("c1", b'{"who":"xc1"'),
        ("müller", wire("miller").encode()),
        (77, b'{"account":770,"amount":77.5}'),
        (77, b'{"account":-77}'),
        (77, b'{"account":1e77777777777777777777777}'),
        *[(part, wire("p3").encode()) for part in (2026, 7, 8, 10, 20, 30, 2, 0)],
        ("c1", b""),
    ],
)
def test_what_others_have_stays(identity: str | int, value: bytes) -> None:
    """Ids that only begin or end alike, other numbers, and parts of times."""
    assert not mentions(identity)(value)


@pytest.mark.parametrize("value", [b'{"who":"trun', zlib.compress(wire("trunc").encode())])
def test_what_is_not_found(value: bytes) -> None:
    """As the documents say: an id that is cut off itself, or packed."""
    assert not mentions("trunc")(value)


@given(st.text(min_size=1), st.sampled_from(["utf-8", "utf-16", "utf-32"]), st.booleans(), st.integers(0, 3))
def test_any_text_that_json_holds(who: str, encoding: str, ascii_only: bool, cut: int) -> None:
    """Also when the record ends right after it."""
    text = json.dumps({"who": who}, ensure_ascii=ascii_only)
    assert mentions(who)(text[: len(text) - min(cut, 2)].encode(encoding, "replace"))


@given(st.binary(max_size=200), st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(min_size=1)))
def test_no_bytes_are_too_strange(value: bytes, identity: str | int) -> None:
    """Whatever was refused can be asked."""
    assert mentions(identity)(value) in (True, False)
