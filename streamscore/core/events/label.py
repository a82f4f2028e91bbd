"""A label: the outcome of one event, known later, with the ids and the time of the event it judges."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, get_type_hints

import msgspec
import numpy as np

from streamscore.core.events.aggregate import raw
from streamscore.core.events.decode import DeadLetter, Entry, Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import FeatureSet
from streamscore.core.events.field import Columns, microseconds, raw_column
from streamscore.core.events.record import Record

Time = Annotated[datetime, msgspec.Meta(tz=True)]


def label_type(event_type: EventType) -> EventType:
    """The labels of an event type as an event type: `label` is the answer, `labelled_at` when it was known.

    Fields are under their own names, as in the archive.
    """
    hints = get_type_hints(event_type.struct, include_extras=True)
    echoed = {name: hints[name] for name in dict.fromkeys(("event_id", *event_type.entities))}
    fields = [*echoed.items(), ("occurred_at", Time), ("label", bool), ("labelled_at", Time)]
    struct = msgspec.defstruct("Label", fields, frozen=True, gc=False)
    return EventType(f"{event_type.name} label", struct, event_type.entities, FeatureSet(()), "label")


def label_columns(labels: EventType, events: Sequence[Any]) -> Columns:
    """The columns that `EntityHistory.fold_labels` takes, of decoded labels."""
    columns: dict[str, Any] = {name: microseconds([getattr(e, name) for e in events]) for name in _TIMES}
    columns["label"] = np.array([event.label for event in events], bool)
    for field in labels.fields:
        if field.name in ("event_id", *labels.entities):
            columns[raw(field.name)] = raw_column(field, [getattr(event, field.name) for event in events])
    return columns


def decode_labels(labels: EventType, records: Sequence[Record], now: datetime, limits: Limits) -> list[Entry]:
    """Each record as an entry at the time its label became known; a label from the future is refused."""
    horizon = now.timestamp() + limits.max_future
    return [_known(entry, horizon) for entry in decode(labels, records, now, limits)]


def _known(entry: Entry, horizon: float) -> Entry:
    event: Any = entry.event
    if event is None:
        return entry
    at = event.labelled_at.timestamp()
    if 0 <= at <= horizon:
        return Entry(entry.record, event, at)
    return Entry(entry.record, None, -1.0, DeadLetter("out_of_range", "labelled_at", "not between 1970 and now"))


_TIMES = ("occurred_at", "labelled_at")
