"""A batch from entries to messages, with a scorer whose numbers are known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.decode import DeadLetter, Entry, Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Columns
from streamscore.core.events.record import Headers, Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.decision import Message
from streamscore.core.scoring.pipeline import Outcome, dead_letter_message, next_offsets
from tests.support.samples import (
    NOW,
    StubScorer,
    application,
    bundle,
    by_amount,
    entries_of,
    payment,
    process,
    record,
    said,
)

NIGHT = TRANSACTION.features.names.index("night")


def processed(entries: list[Entry], scorer: StubScorer | None = None, event_type: EventType = TRANSACTION) -> Outcome:
    model = bundle(event_type, scorer or StubScorer(by_amount, {NIGHT: 1.5}))
    return process(entries, model)


def of(values: Sequence[bytes | None]) -> Outcome:
    return processed(entries_of(TRANSACTION, values))


def test_every_event_gets_one_score() -> None:
    """Each event gets its own score, in order, with its record's key."""
    outcome = of([payment(event_id="a", amount=100), payment(event_id="b", amount=700)])
    assert [(said(m.value)["event_id"], said(m.value)["risk"]) for m in outcome.scores] == [
        ("a", pytest.approx(0.1)),
        ("b", pytest.approx(0.7)),
    ]
    assert [message.key for message in outcome.scores] == [b"key", b"key"]
    assert outcome.risks.tolist() == pytest.approx([0.1, 0.7])


def test_alerts_are_for_what_is_not_approved() -> None:
    """Reviewed events raise a medium alert, declined ones a high alert, both with reasons; approved ones none."""
    outcome = of([payment(amount=amount, occurred_at="2025-06-02T03:00:00Z") for amount in (100, 500, 749, 750, 950)])
    alerts = [said(message.value) for message in outcome.alerts]
    assert [(a["offset"], a["severity"], a["decision"]) for a in alerts] == [
        (1, "medium", "review"),
        (2, "medium", "review"),
        (3, "high", "decline"),
        (4, "high", "decline"),
    ]
    assert all(a["reasons"] == [{"code": "night", "text": "made at night", "contribution": 1.5}] for a in alerts)
    scores = [said(message.value) for message in outcome.scores]
    assert ["reasons" in score for score in scores] == [False, True, True, True, True]
    assert outcome.bands.tolist() == [0, 1, 1, 2, 2]


def test_only_alerts_are_explained() -> None:
    """The scorer is asked to explain the rows above the review threshold and no others."""
    scorer = StubScorer(by_amount)
    processed(entries_of(TRANSACTION, [payment(amount=amount) for amount in (1, 2, 600, 3)]), scorer)
    assert scorer.explained == 1
    processed(entries_of(TRANSACTION, [payment(amount=1)]), scorer)
    assert scorer.explained == 1


GOOD = [payment(event_id=f"e{i}", amount=150.0 * i) for i in range(6)]
BAD: list[bytes | None] = [None, b"", b"{", b"\xff", payment(amount=-1), payment(channel="x"), payment() + b"}"]


@pytest.mark.parametrize("position", range(7))
def test_a_bad_row_never_harms_its_neighbours(position: int) -> None:
    """With bad records anywhere between good ones, the good ones' scores and alerts are what they are without."""
    mixed = [*GOOD[:position], *BAD, *GOOD[position:]]
    entries = entries_of(TRANSACTION, mixed)
    outcome, alone = processed(entries), processed([entry for entry in entries if entry.event])
    assert (outcome.scores, outcome.alerts) == (alone.scores, alone.alerts)
    assert np.array_equal(outcome.risks, alone.risks)
    assert len(outcome.scores) == 6
    assert [message.value for message in outcome.dead_letters] == BAD


def test_an_event_that_says_little_harms_nobody() -> None:
    """An application without its optional values is scored beside complete ones as it is alone."""
    bare, full = application(income=None, age=None), application()

    def risk(matrix: np.ndarray) -> np.ndarray:
        return np.nanmean(matrix, axis=1) / 1000

    both = processed(entries_of(APPLICATION, [full, bare, full]), StubScorer(risk), APPLICATION)
    alone = processed(entries_of(APPLICATION, [bare]), StubScorer(risk), APPLICATION)
    assert both.risks[1] == alone.risks[0]
    assert both.risks[0] == both.risks[2] != both.risks[1]


def test_only_bad_records() -> None:
    """A batch of nothing but bad records has no scores, and dead letters and offsets for all."""
    outcome = of(BAD)
    assert (outcome.scores, outcome.alerts, outcome.risks.tolist()) == ([], [], [])
    assert len(outcome.dead_letters) == len(BAD)
    assert outcome.offsets == {("events", 0): len(BAD)}


def test_nothing_at_all() -> None:
    """An empty batch gives an empty outcome."""
    outcome = of([])
    assert (outcome.scores, outcome.alerts, outcome.dead_letters, outcome.offsets) == ([], [], [], {})


def headed(headers: Headers | None) -> list[Message]:
    """The score and the alert of an event that came with headers."""
    entries = decode(TRANSACTION, [record(payment(amount=999), headers=headers)], NOW, Limits())
    outcome = processed(entries)
    return [*outcome.scores, *outcome.alerts]


def test_trace_headers_are_copied() -> None:
    """traceparent and tracestate go on to score and alert; the sender's other headers do not."""
    trace: Headers = [("traceparent", b"00-aa-bb-01"), ("tracestate", b"x=y")]
    for message in headed([("secret", b"s"), *trace, ("other", None)]):
        assert message.headers == trace
    for message in [*headed([("secret", b"s")]), *headed([]), *headed(None)]:
        assert not message.headers


def test_dead_letter_keeps_the_record() -> None:
    """Key, value and headers come out byte for byte, repeated and null headers too, with ours behind them."""
    headers: Headers = [("h", b"\x00\xff"), ("h", b"again"), ("null", None), ("traceparent", b"t")]
    found = Record("in", 3, 77, 1234, b"\x01\xfe", b'{"broken\xff', headers)
    message = dead_letter_message(found, DeadLetter("bad_json", "amount", "not JSON"))
    assert (message.key, message.value) == (found.key, found.value)
    assert message.headers is not None
    assert message.headers[:4] == headers
    prefix = "streamscore.dead_letter."
    assert dict(message.headers[4:]) == {
        f"{prefix}topic": b"in",
        f"{prefix}partition": b"3",
        f"{prefix}offset": b"77",
        f"{prefix}timestamp": b"1234",
        f"{prefix}reason": b"bad_json",
        f"{prefix}field": b"amount",
        f"{prefix}error": b"not JSON",
    }
    assert len(headers) == 4


def test_dead_letter_of_a_tombstone() -> None:
    """A record without key, value and headers stays without key and value."""
    message = dead_letter_message(Record("in", 0, 0, -1, None, None, None), DeadLetter("empty", "", "no value"))
    assert (message.key, message.value) == (None, None)


def test_offsets_are_the_next_to_read() -> None:
    """Per partition the offset after the last entry, whether that was an event or a dead letter."""
    values = {("a", 0): [5, 6, 9], ("a", 1): [3], ("b", 0): [0]}
    records = [record(payment(), o, p, t) for (t, p), offsets in values.items() for o in offsets]
    records.insert(1, record(b"bad", 4, 1, "a"))
    records.sort(key=lambda r: r.offset)
    assert next_offsets(decode(TRANSACTION, records, NOW, Limits())) == {("a", 0): 10, ("a", 1): 5, ("b", 0): 1}


def test_unknown_values_are_counted() -> None:
    """Undeclared values of open fields are counted per field; declared and missing ones are not."""
    values = [payment(currency="JPY"), payment(currency="JPY", merchant_category="0000"), payment()]
    assert of(values).unknown_values == {"currency": 2, "merchant_category": 1}
    assert of([payment()]).unknown_values == {}


def test_ignored_fields_are_counted() -> None:
    """Undeclared fields are summed over the events of the batch."""
    assert of([payment(extra=1), payment(), payment(extra=1, other=2)]).ignored_fields == 3


def test_record_timestamps_are_kept() -> None:
    """The Kafka timestamps of all records, good and bad, are handed on for the metrics."""
    assert of([payment(), b"bad"]).timestamps.tolist() == [1_700_000_000_000, 1_700_000_000_001]


def test_history_comes_before_features() -> None:
    """What history makes of the columns is what the features see."""

    def doubled(event_type: EventType, columns: Columns) -> dict[str, Any]:
        assert event_type is TRANSACTION
        return {**columns, "amount": columns["amount"] * 2}

    model = bundle(TRANSACTION, StubScorer(by_amount))
    outcome = process(entries_of(TRANSACTION, [payment(amount=100)]), model, doubled)
    assert outcome.risks.tolist() == pytest.approx([0.2])
