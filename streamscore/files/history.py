"""The public `History`: what is known of an event type's entities, kept by the code that serves live events."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import numpy as np
import pandas as pd

from streamscore.core.events.decode import Entry, Limits
from streamscore.core.events.event_type import EventType
from streamscore.core.events.label import label_columns, label_type
from streamscore.core.events.record import END_OF_TIME
from streamscore.core.history.entity_history import Bounds, EntityHistory
from streamscore.files.frames import HeldRows, Rows, frame_lines, held, index_of
from streamscore.files.rows import row_entries


class History:
    """What an event type's entities did before, for the features that depend on it.

    Fold events and labels in any order, then ask. Each event is asked as of its own time: the numbers count it
    and every event before it, and only the labels known by then. They are those of the worker and of
    `streamscore features`, to the bit. Use one history from one thread at a time.

    `slack` bounds the memory: an event may be asked for while it is at most that much older than the newest one
    folded, and what no such event needs is dropped. None keeps everything. `max_entities` bounds the entities of
    each key; events of further ones are not remembered.

        >>> history = streamscore.History(streamscore.TRANSACTION)
        >>> history.fold(streamscore.testing.events_of(streamscore.TRANSACTION, 3, seed=1))
        3
    """

    def __init__(
        self, event_type: EventType, *, slack: timedelta | None = None, max_entities: int = Bounds().most_entities
    ) -> None:
        self.event_type = event_type
        self.refused = 0  # rows folded so far that are no event, or no label
        self._labels = label_type(event_type)
        self._drops = slack is not None
        self.entities = EntityHistory(event_type, Bounds(slack or Bounds().slack, max_entities))

    def fold(self, events: Rows) -> int:
        """Take events in and return how many are new. An event that is there already counts once.

        `events` is a DataFrame, a pyarrow Table or an iterable of mappings, by the events' wire names. A row that
        is no event is counted in `refused` and changes nothing else.
        """
        return sum(map(self._fold, self._entries(self.event_type, held(events))))

    def fold_labels(self, labels: Rows) -> int:
        """Take labels in and return how many are new.

        A row has `event_id`, the entity ids and `occurred_at` of the event it judges, its `label` (true or false)
        and `labelled_at`, when it was known. A label may come before its event. A row that is no label is counted
        in `refused`.
        """
        before = self.entities.tally.labels
        for entries in self._entries(self._labels, held(labels)):
            if self.event_type.history and entries:
                self.entities.fold_labels(label_columns(self._labels, [entry.event for entry in entries]))
        return self.entities.tally.labels - before

    def features(self, events: Rows) -> pd.DataFrame:
        """Each event's features as of its own time: float64 (rows, features), NaN where a feature is missing.

        The index is the frame's own, the columns are the names of the event type's features. A row that is no event
        is NaN throughout. Asking changes nothing: fold the events first if they should count each other.
        """

        def values(entries: list[Entry]) -> np.ndarray:
            columns = self.entities.extended(self.event_type, self.event_type.columns([e.event for e in entries]))
            found = self.event_type.features.values(columns).values()
            return np.array([np.asarray(column, np.float64) for column in found]).T

        rows = held(events)
        parts = (
            valid_rows(entries, values, len(self.event_type.features.names))
            for entries in _all_entries(self.event_type, rows)
        )
        matrix = np.concatenate([np.empty((0, len(self.event_type.features.names))), *parts])
        return pd.DataFrame(matrix, index_of(rows), list(self.event_type.features.names))

    def _fold(self, entries: list[Entry]) -> int:
        if not self.event_type.history or not entries:
            return len(entries)
        before = self.entities.tally.folded
        columns = self.entities.read(self.event_type.columns([entry.event for entry in entries]))
        self.entities.fold(columns)
        if self._drops:
            self.entities.trim(int(columns.at.max()), len(entries))
        return self.entities.tally.folded - before

    def _entries(self, event_type: EventType, rows: HeldRows) -> Iterator[list[Entry]]:
        for entries in _all_entries(event_type, rows):
            valid = [entry for entry in entries if entry.event is not None]
            self.refused += len(entries) - len(valid)
            yield valid


def valid_rows(entries: list[Entry], values: Callable[[list[Entry]], np.ndarray], width: int) -> np.ndarray:
    """(rows, width): the values of the rows that are events, NaN in the others."""
    valid = np.array([entry.event is not None for entry in entries], bool)
    found = np.full((len(entries), width), np.nan)
    if valid.any():
        found[valid] = values([entry for entry in entries if entry.event is not None])
    return found


def _all_entries(event_type: EventType, rows: HeldRows) -> Iterator[list[Entry]]:
    """What becomes of each row, whatever the clock says: an event is asked beside others, not beside now."""
    first = 0
    for lines in frame_lines(event_type, rows):
        yield row_entries(event_type, lines, "events", first, END_OF_TIME, Limits())
        first += len(lines)
