"""Declarations of history: what an aggregate must have, and what is said where it has not."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from streamscore.core.events.aggregate import Aggregate
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import Feature, FeatureSet, as_is
from streamscore.core.events.field import protected

DAY = timedelta(days=1)


class Loan(Struct, frozen=True):
    event_id: str
    occurred_at: Annotated[datetime, Meta(tz=True)]
    borrower: str
    street: Annotated[str, Meta(extra=protected())]
    broker: str | None
    rate: float
    amount: Annotated[float, Meta(gt=0, le=1e7)]
    age: Annotated[int, Meta(ge=0, le=150, extra=protected())]
    months: int


GOOD = Aggregate("borrowed", "sum", ("borrower",), DAY, value="amount")


def loan(*history: Aggregate, features: tuple[Feature, ...] = ()) -> EventType:
    return EventType("loan", Loan, ("borrower",), FeatureSet(features), "bad", history=history)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "stddev"}, "is a 'stddev', and there are count, sum, mean, std"),
        ({"entity": "borrower"}, r"needs its entity as a tuple of fields, such as \('borrower',\)"),
        ({"window": 1}, "needs its window, and its delay, as a timedelta"),
        ({"entity": ()}, "names no entity"),
        ({"entity": ("borrower", "lender"), "value": "wage"}, r"uses unknown fields \['lender', 'wage'\]"),
        ({"name": "age"}, "has the name of a field"),
        ({"entity": ("borrower", "broker")}, r"needs required texts.*not \['broker'\]"),
        ({"entity": ("rate",)}, r"needs required texts.*not \['rate'\]"),
        ({"entity": ("occurred_at",)}, r"needs required texts.*not \['occurred_at'\]"),
        ({"window": timedelta(0)}, "needs a window longer than nothing"),
        ({"delay": -DAY}, "no negative delay"),
        ({"window": 30_000 * DAY, "delay": 10_000 * DAY}, "reaches back more than 36525 days"),
        ({"value": ""}, "needs a value for its kind, sum"),
        ({"kind": "count"}, "takes no value, being a count"),
        ({"kind": "risk"}, "takes no value, being a risk"),
        ({"kind": "distinct"}, "counts texts, integers or categories, and 'amount' is none"),
        ({"value": "rate"}, "needs a number with ge and le, and 'rate' is none"),
        ({"value": "months"}, "needs a number with ge and le, and 'months' is none"),
        ({"value": "borrower"}, "needs a number with ge and le, and 'borrower' is none"),
        ({"decimals": 5}, r"cannot hold 'amount' up to 1e\+07 exactly with 5 decimals"),
        ({"decimals": -1}, "with -1 decimals"),
        ({"kind": "risk", "value": "", "entity": ("street",)}, r"needs an entity among \['borrower'\]"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], said: str) -> None:
    """A declaration that cannot be computed is refused by its name, with the reason."""
    with pytest.raises(ValueError, match=f"history '.*' of 'loan' {said}|history '.*' of 'loan' .*{said}"):
        loan(replace(GOOD, **change))


def test_names_are_told_apart() -> None:
    """Two aggregates of one name are refused."""
    with pytest.raises(ValueError, match="history 'borrowed' of 'loan' is declared twice"):
        loan(GOOD, replace(GOOD, kind="mean"))


def test_features_read_history() -> None:
    """A feature names aggregates as it names fields; one that is not declared is refused."""
    feature = Feature("borrowed", ("borrowed", "amount"), as_is, "")
    assert loan(GOOD, features=(feature,)).history == (GOOD,)
    with pytest.raises(ValueError, match=r"uses unknown fields \['borrowed'\]"):
        loan(features=(feature,))


@pytest.mark.parametrize(
    ("history", "named"),
    [
        (GOOD, True),
        (replace(GOOD, value="age"), False),
        (replace(GOOD, entity=("street",)), False),
        (replace(GOOD, entity=("borrower",), kind="distinct", value="street"), False),
    ],
)
def test_history_of_protected_fields_gives_no_reason(history: Aggregate, named: bool) -> None:
    """A feature of an aggregate whose entity or value is protected may not be a reason."""
    feature = Feature("past", ("borrowed",), as_is, "")
    assert loan(history, features=(feature,)).may_be_reason(feature) is named


def test_columns_hold_what_history_needs() -> None:
    """An event type with history has its ids as they are, its time and its values; one without has none of them."""
    event = Loan("e", datetime.fromisoformat("2025-01-01T00:00:00Z"), "b", "s", None, 0.1, 12.5, 30, 2**70)
    streets = Aggregate("streets", "distinct", ("borrower", "months"), DAY, value="street")
    columns = loan(GOOD, streets).columns([event])
    assert sorted(columns) == ["amount", "borrower:raw", "event_id:raw", "months:raw", "occurred_at", "street:raw"]
    assert list(columns["borrower:raw"]) == ["b"]
    assert columns["months:raw"].tolist() == [2**63 - 1]
    assert list(loan(features=(Feature("amount", ("amount",), as_is, ""),)).columns([event])) == ["amount"]
