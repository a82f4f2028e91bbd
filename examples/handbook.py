"""The Fraud Detection Handbook's card transactions as an event type of their own.

The field names on the wire are the columns of the published files, so a file is replayed,
scored and trained on as it is.
"""

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct, field

from streamscore.core.event_type import EventType
from streamscore.core.feature import Feature, FeatureSet, as_is, hour_of_day, is_night, is_weekend


class Transaction(Struct, frozen=True, gc=False):
    """One card payment: who paid, where, how much."""

    event_id: int = field(name="transaction_id")
    occurred_at: Annotated[datetime, Meta(tz=True)]
    customer_id: int
    terminal_id: int
    amount: Annotated[float, Meta(ge=0, le=1e9)]


TRANSACTION = EventType(
    name="handbook",
    struct=Transaction,
    entities=("customer_id", "terminal_id"),
    label="is_fraud",
    maturity=timedelta(days=7),
    features=FeatureSet(
        (
            Feature("amount", ("amount",), as_is, "amount of {value:,.2f}"),
            Feature("hour_of_day", ("occurred_at",), hour_of_day, "time of day"),
            Feature("night", ("occurred_at",), is_night, "made at night", otherwise="made by day"),
            Feature("weekend", ("occurred_at",), is_weekend, "made at the weekend", otherwise="made on a working day"),
        )
    ),
)
