"""The transaction with twelve windows of its customer's and its terminal's past: what history costs a worker."""

from dataclasses import replace
from datetime import timedelta

from streamscore.core.events.aggregate import Aggregate
from streamscore.core.events.feature import Feature, FeatureSet, as_is
from streamscore.core.events.transaction import TRANSACTION

DELAY = timedelta(days=7)


def windows(days: int) -> tuple[Aggregate, ...]:
    """Count and mean amount of the customer, count and risk of the terminal a week ago, over so many days."""
    customer, terminal, window = ("customer_id",), ("terminal_id",), timedelta(days)
    return (
        Aggregate(f"customer_count_{days}d", "count", customer, window),
        Aggregate(f"customer_mean_{days}d", "mean", customer, window, value="amount"),
        Aggregate(f"terminal_count_{days}d", "count", terminal, window, delay=DELAY),
        Aggregate(f"terminal_risk_{days}d", "risk", terminal, window, delay=DELAY),
    )


WINDOWS = tuple(aggregate for days in (1, 7, 30) for aggregate in windows(days))
REMEMBERING = replace(
    TRANSACTION,
    name="remembering",
    history=WINDOWS,
    features=FeatureSet(
        (*TRANSACTION.features.features, *(Feature(a.name, (a.name,), as_is, a.name) for a in WINDOWS))
    ),
)
