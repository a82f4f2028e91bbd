"""What becomes of a message: an event, or a dead letter with a reason, a field and no word of the payload."""

import json
from datetime import timedelta

import msgspec
import pytest

from examples.handbook import TRANSACTION as HANDBOOK
from streamscore.core.events.application import APPLICATION
from streamscore.core.events.decode import DeadLetter, Limits, decode, decoder
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import UNKNOWN
from streamscore.core.events.transaction import TRANSACTION
from streamscore.registry import BUILT_IN
from tests.support.samples import CREDIT, NOW, PAYMENT, application, body, decoded, payment, record, without

CANARY = "4111111111111111"
DEEP = b"[" * 60_000

# (what is wrong, event type, value, reason, field)
POISON: list[tuple[str, EventType, bytes | None, str, str]] = [
    ("no value", TRANSACTION, None, "empty", ""),
    ("no bytes", TRANSACTION, b"", "empty", ""),
    ("too many bytes", TRANSACTION, payment() + b" " * 65_536, "too_long", ""),
    ("not UTF-8", TRANSACTION, payment(customer_id=CANARY).replace(b"411", b"4\xff1", 1), "bad_utf8", ""),
    ("cut off", TRANSACTION, payment(device_id=CANARY)[:-4], "truncated", ""),
    ("only whitespace", TRANSACTION, b" \n", "truncated", ""),
    ("no JSON", TRANSACTION, b"{" + CANARY.encode() + b"}", "bad_json", ""),
    ("two documents", TRANSACTION, payment() + payment(), "bad_json", ""),
    ("a byte order mark", TRANSACTION, b"\xef\xbb\xbf" + payment(), "bad_json", ""),
    ("nested too deep", TRANSACTION, DEEP, "wrong_type", ""),
    ("nested too deep in a field", TRANSACTION, b'{"extra":' + DEEP, "bad_json", ""),
    ("NaN", TRANSACTION, payment(amount=float("nan")), "bad_json", ""),
    ("a list", TRANSACTION, b'["' + CANARY.encode() + b'"]', "wrong_type", ""),
    ("a text", TRANSACTION, b'"' + CANARY.encode() + b'"', "wrong_type", ""),
    ("null", TRANSACTION, b"null", "empty", ""),
    ("a key twice", TRANSACTION, payment()[:-1] + b',"amount":1}', "duplicate_key", "amount"),
    ("an unknown key twice", TRANSACTION, payment()[:-1] + b',"4111":1,"4111":2}', "duplicate_key", ""),
    ("a field missing", TRANSACTION, without(PAYMENT, "terminal_id"), "missing_field", "terminal_id"),
    ("no fields", TRANSACTION, b"{}", "missing_field", "event_id"),
    ("text for a number", TRANSACTION, payment(amount=CANARY), "wrong_type", "amount"),
    ("a number for text", TRANSACTION, payment(customer_id=int(CANARY)), "wrong_type", "customer_id"),
    ("a list for a number", TRANSACTION, payment(account_age=[CANARY]), "wrong_type", "account_age"),
    ("a number for a flag", TRANSACTION, payment(recurring=1), "wrong_type", "recurring"),
    ("a fraction for a whole number", TRANSACTION, payment(account_age=1.5), "wrong_type", "account_age"),
    ("a time without a zone", TRANSACTION, payment(occurred_at="2025-06-02T10:30:00"), "wrong_type", "occurred_at"),
    ("no time", TRANSACTION, payment(occurred_at=CANARY), "wrong_type", "occurred_at"),
    ("a number for a time", TRANSACTION, payment(occurred_at=1_700_000_000), "wrong_type", "occurred_at"),
    ("a negative amount", TRANSACTION, payment(amount=-0.01), "out_of_range", "amount"),
    ("an amount too large", TRANSACTION, payment(amount=1e9 + 1), "out_of_range", "amount"),
    ("more than a float holds", TRANSACTION, payment(amount=10**400), "out_of_range", "amount"),
    ("before 1970", TRANSACTION, payment(occurred_at="1969-12-31T23:59:59.999999Z"), "out_of_range", "occurred_at"),
    ("before 1970 in its zone", TRANSACTION, payment(occurred_at="1970-01-01T00:30:00+01:00"), "out_of_range",
     "occurred_at"),
    ("the year 1", TRANSACTION, payment(occurred_at="0001-01-01T00:00:00+14:00"), "out_of_range", "occurred_at"),
    ("the year 9999", TRANSACTION, payment(occurred_at="9999-12-31T23:59:59-14:00"), "in_future", "occurred_at"),
    ("an undeclared closed value", TRANSACTION, payment(channel=CANARY), "unknown_value", "channel"),
    ("tomorrow", TRANSACTION, payment(occurred_at="2026-01-02T00:00:00Z"), "in_future", "occurred_at"),
    ("an empty id", TRANSACTION, payment(event_id=""), "empty", "event_id"),
    ("null for a required value", TRANSACTION, payment(amount=None), "empty", "amount"),
    ("an id too long", TRANSACTION, payment(customer_id=CANARY * 5), "too_long", "customer_id"),
    ("no value", APPLICATION, None, "empty", ""),
    ("cut off", APPLICATION, application()[:-1], "truncated", ""),
    ("no JSON", APPLICATION, application().replace(b":", b"=", 1), "bad_json", ""),
    ("a key twice", APPLICATION, application()[:-1] + b',"age":1}', "out_of_range", "age"),
    ("a valid key twice", APPLICATION, application()[:-1] + b',"age":41}', "duplicate_key", "age"),
    ("an optional key twice, null last", APPLICATION, application()[:-1] + b',"age":null}', "duplicate_key", "age"),
    ("an optional key null twice", APPLICATION, application(age=None)[:-1] + b',"age":null}', "duplicate_key", "age"),
    ("a field missing", APPLICATION, without(CREDIT, "purpose"), "missing_field", "purpose"),
    ("text for an optional number", APPLICATION, application(income=CANARY), "wrong_type", "income"),
    ("too young", APPLICATION, application(age=17), "out_of_range", "age"),
    ("no amount at all", APPLICATION, application(amount=0), "out_of_range", "amount"),
    ("an undeclared closed value", APPLICATION, application(housing=CANARY), "unknown_value", "housing"),
    ("a number for a closed value", APPLICATION, application(housing=int(CANARY)), "wrong_type", "housing"),
    ("an open value too long", APPLICATION, application(purpose=CANARY * 3), "too_long", "purpose"),
    ("tomorrow", APPLICATION, application(occurred_at="2026-01-02T00:00:00Z"), "in_future", "occurred_at"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("event_type", "value", "reason", "field"),
    [pytest.param(*case, id=f"{case[0].name}: {what}") for what, *case in POISON],  # type: ignore[union-attr]
)
def test_poison(event_type: EventType, value: bytes | None, reason: str, field: str) -> None:
    """A bad message becomes a dead letter with its reason and field, and says nothing of what was in it."""
    entry = decoded(event_type, value)
    assert entry.event is None
    assert entry.dead_letter is not None
    found = entry.dead_letter
    assert (found.reason, found.field) == (reason, field), found
    assert found.error
    assert "4111" not in f"{found.reason}{found.field}{found.error}"
    assert entry.record.value is value


def test_every_reason_is_seen() -> None:
    """The cases above cover every reason there is."""
    assert {reason for _, _, _, reason, _ in POISON} == set(DeadLetter.__annotations__["reason"].__args__)


def test_open_and_closed_values() -> None:
    """An open field takes a value it does not know, as UNKNOWN; a closed one refuses it."""
    entry = decoded(TRANSACTION, payment(currency="JPY"))
    assert entry.event is not None
    assert TRANSACTION.columns([entry.event])["currency"].tolist() == [UNKNOWN]
    assert decoded(TRANSACTION, payment(channel="telex")).dead_letter is not None


@pytest.mark.parametrize("event_type", list(BUILT_IN.values()), ids=list(BUILT_IN))
def test_optional_fields_may_be_null_or_absent(event_type: EventType) -> None:
    """An optional field that is null reads as one that is not there."""
    required = {"transaction": PAYMENT, "application": CREDIT}[event_type.name]
    optional = [field.wire_name for field in event_type.fields if field.optional]
    absent = decoded(event_type, body({key: value for key, value in required.items() if key not in optional}))
    null = decoded(event_type, body(required | dict.fromkeys(optional)))
    assert optional
    assert absent.event is not None
    assert null.event == absent.event
    assert null.ignored == 0


def test_size_limit_is_exact() -> None:
    """A key and value of exactly the allowed bytes pass; one byte more does not."""
    value = payment()
    size = len(value) + len(record(value).key or b"")
    assert decoded(TRANSACTION, value, Limits(max_bytes=size)).event is not None
    refused = decoded(TRANSACTION, value, Limits(max_bytes=size - 1)).dead_letter
    assert refused is not None
    assert (refused.reason, refused.error) == ("too_long", f"{size} bytes, {size - 1} allowed")


def test_headers_that_cannot_be_read() -> None:
    """A record whose headers are not UTF-8 is a dead letter that says so, and harms nobody."""
    strange = msgspec.structs.replace(record(payment()), headers=None, unreadable=True)
    first, second = decode(TRANSACTION, [strange, record(payment(), 1)], NOW, Limits())
    assert first.dead_letter is not None
    assert (first.dead_letter.reason, "header" in first.dead_letter.error) == ("bad_utf8", True)
    assert second.event is not None


@pytest.mark.parametrize("letter", ["a", "é", "😀"])
def test_text_limit_counts_characters(letter: str) -> None:
    """An id of 64 characters passes, whatever they take in bytes; 65 do not."""
    assert decoded(TRANSACTION, payment(customer_id=letter * 64)).event is not None
    refused = decoded(TRANSACTION, payment(customer_id=letter * 65)).dead_letter
    assert refused is not None
    assert (refused.reason, refused.field) == ("too_long", "customer_id")


def test_number_limits_are_inclusive() -> None:
    """The bounds of a number are allowed values."""
    assert decoded(TRANSACTION, payment(amount=0, account_age=50_000)).event is not None
    assert decoded(TRANSACTION, payment(amount=1e9, account_age=0)).event is not None
    assert decoded(APPLICATION, application(age=18, term=1)).event is not None


def test_future_limit_is_inclusive() -> None:
    """A time exactly `max_future` ahead passes; a microsecond later does not, and the error says the limit."""
    limits = Limits(max_future=300)
    edge = NOW + timedelta(seconds=300)
    assert decoded(TRANSACTION, payment(occurred_at=edge.isoformat()), limits).event is not None
    late = (edge + timedelta(microseconds=1)).isoformat()
    entry = decoded(TRANSACTION, payment(occurred_at=late), limits)
    assert entry.event is None
    assert entry.at == -1.0
    assert entry.dead_letter == DeadLetter(
        "in_future", "occurred_at", "occurred_at is more than 300 s ahead of the clock"
    )


def test_first_moment_of_1970() -> None:
    """1970-01-01T00:00:00Z itself is an event, with time 0."""
    entry = decoded(TRANSACTION, payment(occurred_at="1970-01-01T01:00:00+01:00"))
    assert entry.event is not None
    assert entry.at == 0


def test_time_is_seconds_since_1970() -> None:
    """An entry's time is its event's, in seconds, with fractions."""
    assert decoded(TRANSACTION, payment(occurred_at="2025-06-02T10:30:00.250Z")).at == 1_748_860_200.25


def test_entries_keep_order_and_records() -> None:
    """One entry per record, in the order given, each with its own record."""
    records = [record(payment(event_id=f"e{i}") if i % 2 else b"junk", i) for i in range(6)]
    entries = decode(TRANSACTION, records, NOW, Limits())
    assert [entry.record for entry in entries] == records
    assert [entry.event and entry.event.event_id for entry in entries] == [None, "e1", None, "e3", None, "e5"]
    assert decode(TRANSACTION, [], NOW, Limits()) == []


def test_renamed_fields_are_told_by_their_wire_name() -> None:
    """Dead letters name a field as the sender knows it, and its Python name is an unknown key."""
    values = {"transaction_id": 1, "occurred_at": "2025-01-01T00:00:00Z", "customer_id": 2, "terminal_id": 3}
    refused = decoded(HANDBOOK, body(values | {"transaction_id": "x", "amount": 1})).dead_letter
    assert refused is not None
    assert (refused.reason, refused.field) == ("wrong_type", "transaction_id")
    assert decoded(HANDBOOK, body(values | {"amount": 1, "event_id": 9})).ignored == 1


def test_decoder_is_made_once() -> None:
    """The decoder of a type and limits is kept, and other limits get another."""
    assert decoder(TRANSACTION, Limits()) is decoder(TRANSACTION, Limits())
    assert decoder(TRANSACTION, Limits()) is not decoder(TRANSACTION, Limits(max_bytes=1))


@pytest.mark.parametrize("name", ["transaction_id", "customer_id"])
def test_ids_beyond_64_bits_are_refused(name: str) -> None:
    """An id that cannot be kept as it is would be taken for another: it is a dead letter, as in a file."""
    values = {"transaction_id": 1, "occurred_at": "2025-06-02T12:00:00Z", "customer_id": 2, "terminal_id": 3}
    for value, reason in ((2**63 - 1, None), (2**63, "out_of_range"), (-(2**63), None)):
        payload = json.dumps(values | {"amount": 5.0, name: value}).encode()
        (found,) = decode(HANDBOOK, [record(payload)], NOW, Limits())
        assert (found.dead_letter and (found.dead_letter.reason, found.dead_letter.field)) == (
            reason and (reason, name)
        ), found.dead_letter
