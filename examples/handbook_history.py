"""The Handbook's card transactions with a history richer than the published one: columns of our own choice.

What a fraud looks like in this stream is known by its rules: amounts far above the customer's own, terminals
whose payments turn bad for weeks, customers who suddenly spend several times as much.
"""

from datetime import timedelta

from examples.handbook import CUSTOMER, PUBLISHED, TERMINAL, WEEK, Transaction
from streamscore.core.aggregate import Aggregate
from streamscore.core.event_type import EventType
from streamscore.core.feature import Feature, FeatureSet, as_is, ratio


def customers() -> list[Aggregate]:
    """How often the customer pays, and how much before this payment: lately, and before a spree could have begun."""
    found = [Aggregate(f"customer_count_{days}", "count", CUSTOMER, timedelta(days)) for days in (3, 14)]
    for days in (7, 30, 60):
        for kind in ("mean", "std"):
            window = timedelta(days)
            found.append(Aggregate(f"customer_{kind}_{days}", kind, CUSTOMER, window, value="amount", current=False))
    for days in (7, 30):
        window = timedelta(days)
        found.append(Aggregate(f"customer_max_{days}", "max", CUSTOMER, window, value="amount", current=False))
    old = {"window": timedelta(30), "value": "amount", "delay": timedelta(14)}
    found.append(Aggregate("customer_mean_old", "mean", CUSTOMER, **old))
    found.append(Aggregate("customer_risk_14", "risk", CUSTOMER, timedelta(14), delay=WEEK))
    return found


def terminals() -> list[Aggregate]:
    """How busy the terminal is now, and how bad it was in windows until a week ago."""
    found = [Aggregate(f"terminal_now_{days}", "count", TERMINAL, timedelta(days)) for days in (1, 7)]
    found.append(Aggregate("terminal_since_last", "since_last", TERMINAL, timedelta(30)))
    for days in (2, 3, 5, 14, 21, 28):
        found.append(Aggregate(f"terminal_risk_{days}", "risk", TERMINAL, timedelta(days), delay=WEEK))
    return found


RATIOS = tuple(
    Feature(
        f"amount_to_{name}", ("amount", f"customer_mean_{name}"), ratio, f"{{value:.1f}} times the customer's {words}"
    )
    for name, words in (
        ("7", "mean of a week"),
        ("30", "mean of a month"),
        ("60", "mean of two months"),
        ("old", "older mean"),
    )
)
SPREE = Feature(
    "week_to_old", ("customer_mean_7", "customer_mean_old"), ratio, "a week {value:.1f} times as dear as before"
)
OWN = (*customers(), *terminals())

TRANSACTION = EventType(
    name="handbook_history",
    struct=Transaction,
    entities=("customer_id", "terminal_id"),
    label="is_fraud",
    maturity=WEEK,
    history=(*PUBLISHED.history, *OWN),
    features=FeatureSet(
        (
            *PUBLISHED.features.features,
            *(Feature(a.name, (a.name,), as_is, f"{a.name.replace('_', ' ')} of {{value:,.2f}}") for a in OWN),
            *RATIOS,
            SPREE,
        )
    ),
)
