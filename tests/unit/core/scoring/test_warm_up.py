"""Warming: it runs every part of a history once, whatever an event type declares."""

import pytest

from examples.handbook import TRANSACTION as HANDBOOK
from streamscore.core.events.application import APPLICATION
from streamscore.core.events.event_type import EventType
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.history.entity_history import EntityHistory
from streamscore.core.scoring.warm_up import warm_up


@pytest.mark.parametrize("event_type", [TRANSACTION, APPLICATION, HANDBOOK], ids=lambda each: each.name)
def test_any_event_type_can_be_warmed(event_type: EventType) -> None:
    """Made-up events pass through its history, with labels, copies and trimming, and raise nothing."""
    warm_up(event_type)


def test_an_event_type_without_history_gives_its_columns_back() -> None:
    """Where no history is declared, columns come back as they were, in any of the ways to ask."""
    columns = {"amount": [1.0]}
    history = EntityHistory(TRANSACTION)
    assert not TRANSACTION.history
    assert history.following(columns) is columns
    assert history.extended(TRANSACTION, columns) is columns
