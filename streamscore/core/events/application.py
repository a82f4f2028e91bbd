"""The Application event: a request for credit, its features and what they mean in words."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import Feature, FeatureSet, as_is, is_missing, log1p, ratio
from streamscore.core.events.field import known, protected

PURPOSES = ("car", "home_improvement", "furniture", "education", "medical", "debt_consolidation", "travel", "business")

Channel = Literal["branch", "online", "broker", "phone"]
Employment = Literal["employed", "self_employed", "unemployed", "retired", "student"]
Housing = Literal["own", "mortgage", "rent", "family"]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Money = Annotated[float, Meta(ge=0, le=1e9)]


class Application(Struct, frozen=True, gc=False):
    """One request for credit. Amounts and yearly income in one currency, `term` in months."""

    event_id: Id
    occurred_at: Annotated[datetime, Meta(tz=True)]
    applicant_id: Id
    amount: Annotated[float, Meta(gt=0, le=1e9)]
    term: Annotated[int, Meta(ge=1, le=600)]
    channel: Channel
    employment: Employment
    housing: Housing
    purpose: Annotated[str, Meta(min_length=1, max_length=32, extra=known(*PURPOSES))]
    age: Annotated[int, Meta(ge=18, le=120, extra=protected())] | None = None
    income: Money | None = None
    existing_debt: Money | None = None
    years_employed: Annotated[float, Meta(ge=0, le=80)] | None = None
    months_at_address: Annotated[int, Meta(ge=0, le=1200)] | None = None
    credit_history_months: Annotated[int, Meta(ge=0, le=1200)] | None = None
    missed_payments: Annotated[int, Meta(ge=0, le=1000)] | None = None
    recent_enquiries: Annotated[int, Meta(ge=0, le=1000)] | None = None


def instalment_to_income(amount: np.ndarray, term: np.ndarray, income: np.ndarray) -> np.ndarray:
    """Monthly repayment of the principal as a share of monthly income."""
    return ratio(amount / term * 12.0, income)


APPLICATION = EventType(
    name="application",
    struct=Application,
    entities=("applicant_id",),
    label="is_default",
    decisions=("approve", "refer", "decline"),
    unlabelled="drop",
    maturity=timedelta(days=365),
    review_rate=0.20,
    decline_rate=0.08,
    features=FeatureSet(
        (
            Feature("amount", ("amount",), log1p, "amount asked for"),
            Feature("term", ("term",), as_is, "term of {value:.0f} months"),
            Feature(
                "instalment_to_income", ("amount", "term", "income"), instalment_to_income, "instalment against income"
            ),
            Feature("amount_to_income", ("amount", "income"), ratio, "amount against yearly income"),
            Feature("debt_to_income", ("existing_debt", "income"), ratio, "existing debt against yearly income"),
            Feature("income", ("income",), log1p, "income"),
            Feature("income_missing", ("income",), is_missing, "income not stated", otherwise="income stated"),
            Feature("existing_debt", ("existing_debt",), log1p, "existing debt"),
            Feature("years_employed", ("years_employed",), as_is, "time in the present job"),
            Feature("months_at_address", ("months_at_address",), as_is, "time at the present address"),
            Feature("credit_history_months", ("credit_history_months",), as_is, "length of credit history"),
            Feature(
                "credit_history_missing",
                ("credit_history_months",),
                is_missing,
                "no credit history",
                otherwise="there is a credit history",
            ),
            Feature("missed_payments", ("missed_payments",), as_is, "{value:.0f} missed payments on record"),
            Feature("recent_enquiries", ("recent_enquiries",), as_is, "{value:.0f} recent requests for credit"),
            Feature("age", ("age",), as_is, "age"),
            Feature("channel", ("channel",), as_is, "way of applying", 5),
            Feature("employment", ("employment",), as_is, "kind of employment", 6),
            Feature("housing", ("housing",), as_is, "housing situation", 5),
            Feature("purpose", ("purpose",), as_is, "purpose of the credit", len(PURPOSES) + 1),
        )
    ),
)
