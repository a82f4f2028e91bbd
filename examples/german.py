"""The Statlog German credit applications as an event type: mostly coded answers, no time.

`age_years`, `personal_status_sex` and `foreign_worker` are protected: the model may see them (drop
their features if yours must not), but they are never given as a reason.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import Feature, FeatureSet, as_is, log1p
from streamscore.core.events.field import protected

Count = Annotated[int, Meta(ge=0, le=10_000)]


class Application(Struct, frozen=True, gc=False):
    """One application, in the column names and answer codes of the published file."""

    event_id: int = field(name="application_id")
    occurred_at: Annotated[datetime, Meta(tz=True)]
    checking_status: Literal["A11", "A12", "A13", "A14"]
    duration_months: Count
    credit_history: Literal["A30", "A31", "A32", "A33", "A34"]
    purpose: Literal["A40", "A41", "A410", "A42", "A43", "A44", "A45", "A46", "A47", "A48", "A49"]
    credit_amount: Annotated[int, Meta(ge=0, le=10_000_000)]
    savings: Literal["A61", "A62", "A63", "A64", "A65"]
    employment_since: Literal["A71", "A72", "A73", "A74", "A75"]
    installment_rate: Count
    personal_status_sex: Annotated[Literal["A91", "A92", "A93", "A94", "A95"], Meta(extra=protected())]
    other_debtors: Literal["A101", "A102", "A103"]
    residence_since: Count
    property: Literal["A121", "A122", "A123", "A124"]
    age_years: Annotated[int, Meta(ge=18, le=120, extra=protected())]
    other_installment_plans: Literal["A141", "A142", "A143"]
    housing: Literal["A151", "A152", "A153"]
    existing_credits: Count
    job: Literal["A171", "A172", "A173", "A174"]
    dependents: Count
    telephone: Literal["A191", "A192"]
    foreign_worker: Annotated[Literal["A201", "A202"], Meta(extra=protected())]


def _coded(name: str, codes: int) -> Feature:
    return Feature(name, (name,), as_is, f"{name.replace('_', ' ')}", codes + 1)


def _counted(name: str) -> Feature:
    return Feature(name, (name,), as_is, f"{name.replace('_', ' ')} is {{value:.0f}}")


APPLICATION = EventType(
    name="german",
    struct=Application,
    entities=("event_id",),
    label="is_bad",
    decisions=("approve", "refer", "decline"),
    unlabelled="drop",
    review_rate=0.30,
    decline_rate=0.15,
    features=FeatureSet(
        (
            _coded("checking_status", 4),
            _counted("duration_months"),
            _coded("credit_history", 5),
            _coded("purpose", 11),
            Feature("credit_amount", ("credit_amount",), log1p, "amount asked for"),
            _coded("savings", 5),
            _coded("employment_since", 5),
            _counted("installment_rate"),
            _coded("personal_status_sex", 5),
            _coded("other_debtors", 3),
            _counted("residence_since"),
            _coded("property", 4),
            _counted("age_years"),
            _coded("other_installment_plans", 3),
            _coded("housing", 3),
            _counted("existing_credits"),
            _coded("job", 4),
            _counted("dependents"),
            _coded("telephone", 2),
            _coded("foreign_worker", 2),
        )
    ),
)
