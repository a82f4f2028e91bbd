"""Compiling before the first event what would otherwise be compiled while it waits."""

from typing import Any

import numpy as np

from streamscore.core.events.aggregate import raw
from streamscore.core.events.event_type import EventType
from streamscore.core.history.entity_history import Cursor, EntityHistory
from streamscore.core.scoring.bins import binned, bins_of
from streamscore.core.scoring.profile import histogram

# More entities than an index has room for at first, so that it is seen to grow.
WARMED = 256


def warm_up(event_type: EventType) -> None:
    """Compile every kernel that this event type will need, by a history of made-up events."""
    binned(
        bins_of("", {"risk": histogram(np.zeros(1), (0.0,))}, {}), np.zeros((1, 1), np.float32), np.zeros(1, np.float32)
    )
    if not event_type.history:
        return
    history, numbers = EntityHistory(event_type), np.arange(WARMED)
    columns: dict[str, Any] = {field.name: np.zeros(WARMED) for field in event_type.fields}
    for field in event_type.identified:
        columns[raw(field.name)] = list(map(str, numbers)) if field.quoted or field.nullable else numbers
    columns |= {"occurred_at": numbers, "labelled_at": numbers, "label": numbers > 0}
    for _ in range(2):  # once in order, once all over again
        history.fold(history.read(columns))
        history.fold_labels(columns)
        history.query(history.read(columns))
    again = EntityHistory(event_type)
    cursor: Cursor | None = Cursor()
    while cursor:
        name, part, cursor = history.copied(cursor, WARMED)
        again.adopt(name, part)
    history.trim(history.horizon + WARMED, WARMED)
