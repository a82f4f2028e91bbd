"""Bands, reasons, scores and alerts, with contributions known in advance."""

from datetime import timedelta

import msgspec
import numpy as np
import pytest

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Bundle, Contributions, Thresholds
from streamscore.core.scoring.decision import (
    APPROVE,
    DECLINE,
    MAX_REASONS,
    REVIEW,
    SMALLEST_CONTRIBUTION,
    Reason,
    Score,
    Times,
    alert,
    bands,
    reasons,
    scores,
)
from tests.support.samples import NOW, StubScorer, application, bundle, by_amount, entries_of, payment

CREDITS = bundle(APPLICATION, StubScorer(by_amount))
PAYMENTS = bundle(TRANSACTION, StubScorer(by_amount))


def test_a_risk_at_a_threshold_is_in_the_upper_band() -> None:
    """Bands change exactly at the thresholds, upwards."""
    thresholds = Thresholds(review=0.25, decline=0.75)
    risks = np.array([0.0, np.nextafter(0.25, 0), 0.25, np.nextafter(0.75, 0), 0.75, 1.0])
    assert bands(risks, thresholds).tolist() == [APPROVE, APPROVE, REVIEW, REVIEW, DECLINE, DECLINE]
    assert bands(np.empty(0, np.float32), thresholds).tolist() == []


def test_bands_may_be_empty() -> None:
    """With equal thresholds nothing is reviewed; with a threshold of 0 nothing is approved."""
    assert bands(np.array([0.1, 0.2]), Thresholds(review=0.2, decline=0.2)).tolist() == [APPROVE, DECLINE]
    assert bands(np.array([0.0, 1.0]), Thresholds(review=0, decline=1)).tolist() == [REVIEW, DECLINE]


@pytest.mark.parametrize(("review", "decline"), [(0.5, 0.4), (-0.1, 0.5), (0.5, 1.1)])
def test_thresholds_are_ordered_shares(review: float, decline: float) -> None:
    """Thresholds out of order or outside 0 to 1 are refused."""
    with pytest.raises(ValueError, match="0 <= review <= decline <= 1"):
        Thresholds(review=review, decline=decline)


def explained(model: Bundle, values: bytes, **contributions: float) -> tuple[Reason, ...]:
    """The reasons of one event with given contributions, by feature; the others contribute nothing."""
    (entry,) = entries_of(model.event_type, [values])
    assert entry.event is not None
    matrix = model.features.matrix(model.event_type.columns([entry.event]), 1)
    row = np.array([[contributions.get(name, 0.0) for name in model.features.names]])
    return reasons(model, matrix, Contributions(row, np.zeros(1)))[0]


def test_only_what_raised_the_risk() -> None:
    """Features that lowered the risk, or hardly moved it, are no reasons."""
    found = explained(
        CREDITS, application(), amount=0.5, term=-2.0, housing=SMALLEST_CONTRIBUTION, income=SMALLEST_CONTRIBUTION / 2
    )
    assert [(reason.code, reason.contribution) for reason in found] == [("amount", 0.5), ("housing", 0.01)]


def test_no_reason_is_a_possible_answer() -> None:
    """Where nothing raised the risk there is no reason."""
    assert explained(CREDITS, application(), amount=-1.0) == ()


def test_four_at_most_strongest_first() -> None:
    """Of many reasons the four strongest are given, in order."""
    strengths = {"term": 0.1, "amount": 0.2, "income": 0.5, "housing": 0.3, "purpose": 0.4, "channel": 0.05}
    found = explained(CREDITS, application(), **strengths)
    assert [reason.code for reason in found] == ["income", "purpose", "housing", "amount"]
    assert len(found) == MAX_REASONS


def test_equal_strengths_keep_the_features_order() -> None:
    """Reasons of equal strength come in the order of the features, run after run."""
    found = explained(CREDITS, application(), **dict.fromkeys(CREDITS.features.names, 1.0))
    assert [reason.code for reason in found] == list(CREDITS.features.names[:4])


def test_a_category_is_named_by_its_value() -> None:
    """The reason says which value it was, in words; of an open field also that it was none of the declared."""
    (known,) = explained(CREDITS, application(purpose="debt_consolidation"), purpose=1.0)
    assert known.text == "purpose of the credit: debt consolidation"
    (new,) = explained(CREDITS, application(purpose="yacht"), purpose=1.0)
    assert new.text == "purpose of the credit: none of the usual"


def test_never_a_protected_field() -> None:
    """Age is never a reason, even where it contributes most; the next ones take its place."""
    strengths = {"age": 9.0, "term": 0.4, "amount": 0.3, "income": 0.2, "housing": 0.1}
    found = explained(CREDITS, application(), **strengths)
    assert [reason.code for reason in found] == ["term", "amount", "income", "housing"]


def test_words_for_values() -> None:
    """A reason's words hold the event's value where they ask for it."""
    (term,) = explained(CREDITS, application(term=36), term=1.0)
    assert term == Reason("term", "term of 36 months", 1.0)
    (amount,) = explained(PAYMENTS, payment(amount=1234.5), amount=0.123456)
    assert amount == Reason("amount", "amount of 1,234.50", 0.1235)


def test_words_for_missing_values() -> None:
    """A missing value is told as not known, never as nan."""
    for name in ("existing_debt", "debt_to_income", "missed_payments"):
        (reason,) = explained(CREDITS, application(), **{name: 1.0})
        assert reason.text == f"{name.replace('_', ' ')} not known"


def test_rows_are_explained_one_by_one() -> None:
    """Each row gets its own reasons."""
    names = PAYMENTS.features.names
    values = np.zeros((2, len(names)))
    values[0, names.index("night")], values[1, names.index("channel")] = 1, 2
    found = reasons(PAYMENTS, np.ones((2, len(names)), np.float32), Contributions(values, np.zeros(2)))
    assert [[reason.code for reason in row] for row in found] == [["night"], ["channel"]]


def scored(
    risks: list[float], model: Bundle = PAYMENTS, why: dict[int, tuple[Reason, ...]] | None = None
) -> list[Score]:
    entries = entries_of(model.event_type, [payment(event_id=f"e{i}") for i in range(len(risks))])
    return scores(model, entries, np.array(risks, np.float32), why or {}, Times(NOW))


def test_a_score_tells_what_it_is_of() -> None:
    """A score carries the event's id, entities and coordinates, the model, the risk and the decision."""
    why = (Reason("night", "made at night", 1.0),)
    low, middle, high = scored([0.1, 0.5, 0.95], why={2: why})
    assert (low.score_id, low.event_id, msgspec.to_builtins(low.entities)) == (
        "events-0-0",
        "e0",
        {"customer_id": "c1", "terminal_id": "t1"},
    )
    assert (high.topic, high.partition, high.offset, high.model) == ("events", 0, 2, "stub-1")
    assert [score.decision for score in (low, middle, high)] == ["approve", "review", "decline"]
    assert low.risk == pytest.approx(0.1)
    assert (low.reasons, high.reasons) == ((), why)
    assert (low.event_type, low.scored_at) == ("transaction", NOW)


def test_decisions_are_the_event_types_own() -> None:
    """An application is referred, not reviewed."""
    entries = entries_of(APPLICATION, [application()])
    (score,) = scores(CREDITS, entries, np.array([0.6], np.float32), {}, Times(NOW))
    assert (score.decision, msgspec.to_builtins(score.entities)) == ("refer", {"applicant_id": "a1"})


def test_ids_depend_on_coordinates_only() -> None:
    """Another model, another time and another risk give the same id: consumers can recognise a repeat."""
    other = Bundle(
        PAYMENTS.manifest.model_copy(update={"version": "other-2"}), TRANSACTION, TRANSACTION.features, PAYMENTS.scorer
    )
    entries = entries_of(TRANSACTION, [payment()])
    (first,) = scores(PAYMENTS, entries, np.array([0.1], np.float32), {}, Times(NOW))
    (again,) = scores(other, entries, np.array([0.9], np.float32), {}, Times(NOW + timedelta(days=1)))
    assert first.score_id == again.score_id == "events-0-0"
    assert first.model != again.model
    assert alert(again, "high").alert_id == first.score_id


def test_alert_repeats_its_score() -> None:
    """An alert holds all that the score holds, and a severity."""
    (score,) = scored([0.95], why={0: (Reason("night", "made at night", 1.0),)})
    told = msgspec.to_builtins(alert(score, "high"))
    expected = msgspec.to_builtins(score)
    assert told.pop("severity") == "high"
    assert told.pop("alert_id") == expected.pop("score_id")
    assert told == expected


def test_an_ordinary_score_says_nothing_of_reasons() -> None:
    """On the wire a score without reasons has no such key, and a risk has nine decimals at most."""
    (score,) = scored([1 / 3])
    text = msgspec.json.encode(score)
    assert b"reasons" not in text
    assert b'"risk":0.333333343,' in text
