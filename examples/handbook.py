"""The Fraud Detection Handbook's card transactions as an event type of their own.

The field names on the wire are the columns of the published files, so a file is replayed,
scored and trained on as it is.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct, field

from streamscore.core.events.aggregate import Aggregate
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import Feature, FeatureSet, as_is, hour_of_day, is_night, is_weekend


class Transaction(Struct, frozen=True, gc=False):
    """One card payment: who paid, where, how much."""

    event_id: int = field(name="transaction_id")
    occurred_at: Annotated[datetime, Meta(tz=True)]
    customer_id: int
    terminal_id: int
    amount: Annotated[float, Meta(ge=0, le=1e9)]


CUSTOMER, TERMINAL = ("customer_id",), ("terminal_id",)
WEEK = timedelta(days=7)


def customer_windows(days: int) -> tuple[Aggregate, Aggregate]:
    """How often, and on average how much, the customer paid in so many days, this payment included."""
    count, mean, window = f"customer_nb_tx_{days}day_window", f"customer_avg_amount_{days}day_window", timedelta(days)
    return Aggregate(count, "count", CUSTOMER, window), Aggregate(mean, "mean", CUSTOMER, window, value="amount")


def terminal_windows(days: int) -> tuple[Aggregate, Aggregate]:
    """How many payments the terminal took in so many days until a week ago, and what share of them was fraud."""
    count, risk, window = f"terminal_nb_tx_{days}day_window", f"terminal_risk_{days}day_window", timedelta(days)
    return Aggregate(count, "count", TERMINAL, window, delay=WEEK), Aggregate(
        risk, "risk", TERMINAL, window, delay=WEEK
    )


WINDOWS = tuple(
    aggregate for windows in (customer_windows, terminal_windows) for days in (1, 7, 30) for aggregate in windows(days)
)
WORDS = {
    "customer_nb_tx": "{value:.0f} payments of the customer in DAYS days",
    "customer_avg_amount": "customer pays {value:,.2f} on average of DAYS days",
    "terminal_nb_tx": "{value:.0f} payments at the terminal in DAYS days, a week ago",
    "terminal_risk": "{value:.1%} frauds at the terminal in DAYS days, a week ago",
}


def as_feature(aggregate: Aggregate) -> Feature:
    """A window as a feature, under its published name."""
    words = WORDS[aggregate.name.rpartition("_")[0].rpartition("_")[0]].replace("DAYS", str(aggregate.window.days))
    return Feature(aggregate.name, (aggregate.name,), as_is, words)


TRANSACTION = EventType(
    name="handbook",
    struct=Transaction,
    entities=("customer_id", "terminal_id"),
    label="is_fraud",
    maturity=WEEK,
    history=WINDOWS,
    features=FeatureSet(
        (
            Feature("amount", ("amount",), as_is, "amount of {value:,.2f}"),
            Feature("hour_of_day", ("occurred_at",), hour_of_day, "time of day"),
            Feature("night", ("occurred_at",), is_night, "made at night", otherwise="made by day"),
            Feature("weekend", ("occurred_at",), is_weekend, "made at the weekend", otherwise="made on a working day"),
            *map(as_feature, WINDOWS),
        )
    ),
)

# The same transactions with the 15 published columns alone, to compare models with published results.
PUBLISHED = replace(
    TRANSACTION,
    name="handbook_published",
    features=FeatureSet(tuple(feature for feature in TRANSACTION.features.features if feature.name != "hour_of_day")),
)
