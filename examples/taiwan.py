"""The UCI "default of credit card clients" (Taiwan) as an event type: numbers only, no time.

`sex`, `marriage` and `age` are protected: the model may see them (drop their features if yours must
not), but they are never given as a reason.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, field

from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import Feature, FeatureSet, as_is, ratio
from streamscore.core.events.field import known, protected

Money = Annotated[float, Meta(ge=-1e9, le=1e9)]
MonthsLate = Annotated[int, Meta(ge=-2, le=100)]


class Application(Struct, frozen=True, gc=False):
    """One client: limit, who they are, and six months of delays, bills and payments, newest first."""

    event_id: int = field(name="application_id")
    occurred_at: Annotated[datetime, Meta(tz=True)]
    limit_bal: Annotated[float, Meta(ge=0, le=1e9)]
    sex: Annotated[int, Meta(extra=known(1, 2) | protected())]
    education: Annotated[int, Meta(extra=known(1, 2, 3, 4))]
    marriage: Annotated[int, Meta(extra=known(1, 2, 3) | protected())]
    age: Annotated[int, Meta(ge=18, le=120, extra=protected())]
    pay_0: MonthsLate
    pay_2: MonthsLate
    pay_3: MonthsLate
    pay_4: MonthsLate
    pay_5: MonthsLate
    pay_6: MonthsLate
    bill_amt1: Money
    bill_amt2: Money
    bill_amt3: Money
    bill_amt4: Money
    bill_amt5: Money
    bill_amt6: Money
    pay_amt1: Money
    pay_amt2: Money
    pay_amt3: Money
    pay_amt4: Money
    pay_amt5: Money
    pay_amt6: Money


def _late(name: str) -> Feature:
    return Feature(name, (name,), as_is, "{value:.0f} months behind with a payment")


def _money(name: str, words: str) -> Feature:
    return Feature(name, (name,), as_is, words)


APPLICATION = EventType(
    name="taiwan",
    struct=Application,
    entities=("event_id",),
    label="is_default",
    decisions=("approve", "refer", "decline"),
    unlabelled="drop",
    review_rate=0.20,
    decline_rate=0.08,
    features=FeatureSet(
        (
            _money("limit_bal", "credit limit of {value:,.0f}"),
            Feature("sex", ("sex",), as_is, "sex", 3),
            Feature("education", ("education",), as_is, "education", 5),
            Feature("marriage", ("marriage",), as_is, "marital status", 4),
            Feature("age", ("age",), as_is, "age"),
            *(_late(f"pay_{month}") for month in (0, 2, 3, 4, 5, 6)),
            *(_money(f"bill_amt{month}", "a bill of {value:,.0f}") for month in range(1, 7)),
            *(_money(f"pay_amt{month}", "a payment of {value:,.0f}") for month in range(1, 7)),
            Feature("use_of_limit", ("bill_amt1", "limit_bal"), ratio, "{value:.0%} of the limit is used"),
        )
    ),
)
