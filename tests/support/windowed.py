"""The Handbook's transactions with windows that have no delay: what a careless reader of a backlog gets wrong first."""

from dataclasses import replace
from datetime import timedelta

from examples.handbook import TERMINAL, TRANSACTION
from streamscore.core.events.aggregate import Aggregate
from streamscore.core.events.feature import Feature, FeatureSet, as_is

UNDELAYED = (
    Aggregate("terminal_nb_tx_1hour", "count", TERMINAL, timedelta(hours=1)),
    Aggregate("terminal_nb_tx_1day", "count", TERMINAL, timedelta(days=1)),
    Aggregate("terminal_since_last", "since_last", TERMINAL, timedelta(days=7)),
)
WINDOWED = replace(
    TRANSACTION,
    name="windowed",
    history=(*TRANSACTION.history, *UNDELAYED),
    features=FeatureSet(
        (*TRANSACTION.features.features, *(Feature(a.name, (a.name,), as_is, a.name) for a in UNDELAYED))
    ),
)
