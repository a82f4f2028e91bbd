"""Event types: what a declaration must have, and the columns it asks for."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

import msgspec
import pytest

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import Feature, FeatureSet, as_is
from streamscore.core.events.field import protected
from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import SettingsError
from streamscore.registry import find_event_type
from tests.support.samples import application, decoded, payment


class Loan(msgspec.Struct, frozen=True):
    event_id: str
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)]
    amount: float
    note: str
    age: Annotated[int, msgspec.Meta(ge=0, le=150, extra=protected())] | None = None


AMOUNT = Feature("amount", ("amount",), as_is, "amount")


def loan(*features: Feature, struct: type[msgspec.Struct] = Loan, entities: tuple[str, ...] = ()) -> EventType:
    return EventType("loan", struct, entities, FeatureSet(features), "bad")


def test_entities_must_be_fields() -> None:
    """An entity that the struct does not declare is refused by name."""
    with pytest.raises(ValueError, match=r"Loan lacks \['borrower'\]"):
        loan(AMOUNT, entities=("borrower",))


def test_id_and_time_are_required() -> None:
    """A struct without event_id and occurred_at is no event."""

    class Bare(msgspec.Struct):
        amount: float

    with pytest.raises(ValueError, match=r"lacks \['event_id', 'occurred_at'\]"):
        loan(AMOUNT, struct=Bare)


def test_features_use_declared_fields() -> None:
    """A feature of a field that does not exist is refused by name."""
    with pytest.raises(ValueError, match=r"feature 'wage' of 'loan' uses unknown fields \['income'\]"):
        loan(Feature("wage", ("amount", "income"), as_is, "wage"))


def test_defaults_are_none() -> None:
    """A default other than None is refused: the decoder could not tell that the field was absent."""

    class Defaulted(msgspec.Struct):
        event_id: str
        occurred_at: datetime
        amount: float = 0.0

    with pytest.raises(ValueError, match="default of 'amount' must be None"):
        loan(AMOUNT, struct=Defaulted)


def event(**changes: object) -> Loan:
    values = {"event_id": "l", "occurred_at": "2025-01-01T00:00:00Z", "amount": 2.0, "note": "n"} | changes
    return msgspec.convert(values, Loan)


def test_only_featured_fields_become_columns() -> None:
    """Fields that no feature reads are not turned into columns."""
    columns = loan(AMOUNT, Feature("age", ("age",), as_is, "age")).columns([event(), event(age=40)])
    assert sorted(columns) == ["age", "amount"]
    assert columns["amount"].tolist() == [2, 2]
    assert columns["age"][1] == 40


def test_one_featured_field() -> None:
    """A type with a single featured field has that one column."""
    assert loan(AMOUNT).columns([event(amount=3.0)])["amount"].tolist() == [3]


def test_no_events_give_empty_columns() -> None:
    """The columns of no events are there, and empty."""
    for event_type in (TRANSACTION, APPLICATION, loan(AMOUNT)):
        columns = event_type.columns([])
        assert event_type.features.matrix(columns, 0).shape == (0, len(event_type.features.features))


def test_protected_fields_give_no_reason() -> None:
    """A feature that reads a protected field, even beside others, may not be a reason."""
    both = Feature("both", ("amount", "age"), as_is, "both")
    event_type = loan(AMOUNT, both)
    assert event_type.may_be_reason(AMOUNT)
    assert not event_type.may_be_reason(both)
    allowed = {f.name for f in APPLICATION.features.features if APPLICATION.may_be_reason(f)}
    assert {f.name for f in APPLICATION.features.features} - allowed == {"age"}


def features_of(event_type: EventType, found: object) -> dict[str, float]:
    row = event_type.features.matrix(event_type.columns([found]), 1)[0]
    return dict(zip(event_type.features.names, row.tolist(), strict=True))


def test_known_events_give_known_features() -> None:
    """The features of one transaction and one application, computed by hand."""
    paid = decoded(TRANSACTION, payment(country="FR", amount=120.0, occurred_at="2025-06-07T06:15:00Z")).event
    row = features_of(TRANSACTION, paid)
    assert row["amount"] == 120
    assert (row["round_amount"], row["crosses_border"], row["night"], row["weekend"]) == (1, 1, 1, 1)
    assert row["hour_of_day"] == 6.25
    code = {field.name: field.codes for field in TRANSACTION.fields}
    assert (row["currency"], row["country"]) == (1, 2)
    assert (row["channel"], row["authentication"]) == (code["channel"]["chip"], code["authentication"]["pin"])
    asked = decoded(APPLICATION, application(amount=2400.0, term=24, income=12_000.0)).event
    row = features_of(APPLICATION, asked)
    assert row["instalment_to_income"] == pytest.approx(0.1)
    assert row["amount_to_income"] == pytest.approx(0.2)
    assert (row["income_missing"], row["credit_history_missing"]) == (0, 1)


def test_find() -> None:
    """A type is found by its name or its import path, and what is not one is refused with what is there."""
    assert find_event_type("transaction") is TRANSACTION
    assert find_event_type("examples.handbook:TRANSACTION").name == "handbook"
    with pytest.raises(SettingsError, match="did you mean transaction"):
        find_event_type("transactoin")
    with pytest.raises(SettingsError, match="cannot be imported"):
        find_event_type("no.such.module:THING")
    with pytest.raises(SettingsError, match="not an EventType"):
        find_event_type("examples.handbook:Transaction")


def test_categories_are_counted() -> None:
    """A feature that is a category has as many as its field declares, and one for all others; else it is refused."""
    wrong = replace(TRANSACTION.features.features[-1], categories=3)
    with pytest.raises(ValueError, match=r"'merchant_category' of 'transaction' has 3 categories, and .* 18"):
        replace(TRANSACTION, features=FeatureSet((wrong,)))


def test_what_a_module_has_instead_is_told() -> None:
    """A name that is not in it comes back with the event types that are."""
    with pytest.raises(SettingsError, match=r"examples\.handbook has no 'HANDBOOK'; its event types are .*TRANSACTION"):
        find_event_type("examples.handbook:HANDBOOK")
