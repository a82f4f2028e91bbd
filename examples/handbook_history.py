"""The Handbook's card transactions with a history richer than the published one: columns of our own choice.

What a fraud looks like in this stream is known by its rules: amounts far above the customer's own, terminals
whose payments turn bad for weeks, customers who suddenly spend several times as much.
"""

from datetime import timedelta

import numpy as np

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
    old, delay = timedelta(30), timedelta(14)
    for kind in ("mean", "std"):
        found.append(Aggregate(f"customer_{kind}_old", kind, CUSTOMER, old, value="amount", delay=delay))
    return found


def terminals() -> list[Aggregate]:
    """How busy the terminal is now, and how bad it was: until a week ago, and further back, when it may have begun."""
    found = [Aggregate(f"terminal_now_{days}", "count", TERMINAL, timedelta(days)) for days in (1, 7)]
    found.append(Aggregate("terminal_since_last", "since_last", TERMINAL, timedelta(30)))
    for days in (2, 3, 5, 14, 21, 28):
        found.append(Aggregate(f"terminal_risk_{days}", "risk", TERMINAL, timedelta(days), delay=WEEK))
    for days, ago in ((7, 14), (7, 21), (9, 28)):
        name, delay = f"terminal_risk_{days}_{ago}", timedelta(ago)
        found.append(Aggregate(name, "risk", TERMINAL, timedelta(days), delay=delay))
    found.append(Aggregate("terminal_count_21", "count", TERMINAL, timedelta(21), delay=WEEK))
    return found


def above(amount: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """How many standard deviations an amount is above a mean."""
    return ratio(amount - mean, deviation)


def known_frauds(count: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """How many frauds a count and the share of frauds in it stand for."""
    return count * risk


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
COMPARED = (
    Feature(
        "week_to_old", ("customer_mean_7", "customer_mean_old"), ratio, "a week {value:.1f} times as dear as before"
    ),
    Feature(
        "most_to_old", ("customer_max_7", "customer_mean_old"), ratio, "paid {value:.1f} times the older mean lately"
    ),
    *(
        Feature(
            f"deviations_{name}",
            ("amount", f"customer_mean_{name}", f"customer_std_{name}"),
            above,
            "{value:.1f} standard deviations above the customer's " + words,
        )
        for name, words in (("30", "mean of a month"), ("old", "older mean"))
    ),
    Feature(
        "terminal_frauds_21",
        ("terminal_count_21", "terminal_risk_21"),
        known_frauds,
        "{value:.0f} frauds at the terminal",
    ),
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
            *COMPARED,
        )
    ),
)
