"""The past of an event type's entities: fold events and labels in, ask what an event looks like against it.

    read → fold → query: a batch is folded first, and each event is then asked as of its own time

The numbers depend on the set of events and labels folded alone: not on their order, their batches,
what was dropped meanwhile or where a restart took over. Events must be asked within the horizon.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from streamscore.core.events.aggregate import raw
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Columns
from streamscore.core.events.record import NEVER
from streamscore.core.history.aggregates import Windows, compute
from streamscore.core.history.arena import NEW, REFUSED, SEEN
from streamscore.core.history.identity import key_hashes, widened, words
from streamscore.core.history.label_timeline import LabelTimeline
from streamscore.core.history.measure import SumColumn, added, measures
from streamscore.core.history.timeline import Entity, Keyed, Part, Timeline

# Entities looked at for each event that came. Of ever new ones, as many are then idle as are not.
SWEPT = 2


class Cursor(NamedTuple):
    """Where copying goes on: the number of a timeline, and of an entity."""

    timeline: int = 0
    entity: int = 0


class Bounds(NamedTuple):
    """How far behind the oldest event asked for others may come, and how many entities a key may have."""

    slack: timedelta = timedelta(days=1)
    most_entities: int = 50_000_000


@dataclass
class Tally:
    """What happened since the start: rows by what became of them."""

    folded: int = 0
    duplicates: int = 0
    too_old: int = 0
    without_room: int = 0
    dropped: int = 0
    evicted: int = 0
    labels: int = 0
    repeated_labels: int = 0
    contradictory_labels: int = 0


class Key:
    """One entity key's timeline, its labels, and the aggregates that are asked of it."""

    def __init__(self, event_type: EventType, entity: Entity, words_of_id: int, most: int) -> None:
        self.entity, self.aggregates = entity, tuple(a for a in event_type.history if a.entity == entity)
        missing = {field.name for field in event_type.fields if field.nullable}
        self.measures: tuple[SumColumn, ...] = measures(self.aggregates, missing)
        spans = [(aggregate.delay, aggregate.window) for aggregate in self.aggregates]
        self._span_of = {span: number for number, span in enumerate(dict.fromkeys(spans))}
        self._spans = np.array([[_micros(part) for part in span] for span in self._span_of], np.int64)
        self.timeline = Timeline(words_of_id, len(self.measures), most)
        self.labels = LabelTimeline(self.timeline) if any(a.kind == "risk" for a in self.aggregates) else None

    def added(self, columns: Columns, rows: int) -> np.ndarray:
        """int64 (rows, measures): what events add to this key's timeline."""
        found = np.empty((rows, len(self.measures)), np.int64)
        for column, measure in enumerate(self.measures):
            found[:, column] = added(measure, columns)
        return found

    def query(self, rows: Keyed) -> dict[str, np.ndarray]:
        """Each aggregate's numbers, by its name."""
        hashes, own = rows.hashes[self.entity], rows.added[self.entity]
        low, high = self.timeline.windows(hashes, rows.at, rows.ids, self._spans)
        positives = self.labels.positives(hashes, rows.at, rows.ids, self._spans) if self.labels else high
        arena, found = self.timeline.arena, {}
        for aggregate in self.aggregates:
            span = self._span_of[aggregate.delay, aggregate.window]
            view = Windows(arena, self.measures, low[span], high[span], rows.at, own, positives[span])
            found[aggregate.name] = compute(aggregate, view)
        return found


class EntityHistory:
    """The history of one event type, in memory that its horizon and its number of entities bound."""

    def __init__(self, event_type: EventType, bounds: Bounds = Bounds()) -> None:  # noqa: B008
        declared = event_type.history
        self.horizon = _micros(max((a.window + a.delay for a in declared), default=timedelta(0)) + bounds.slack)
        # Events and labels of events up to this time (µs) are beyond every window still asked for.
        self.bound = -NEVER
        self.tally = Tally()
        self._words = 1  # int64 that make an event's id, so far
        self._keys = [
            Key(event_type, entity, self._words, bounds.most_entities)
            for entity in dict.fromkeys(aggregate.entity for aggregate in declared)
        ]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays that are held."""
        return sum(timeline.nbytes for _, timeline in self._timelines())

    @property
    def entities(self) -> dict[Entity, int]:
        """How many entities each key has now."""
        return {key.entity: len(key.timeline.index) for key in self._keys}

    @property
    def events(self) -> int:
        """How many events are held, of the key that has most."""
        return max((key.timeline.rows for key in self._keys), default=0)

    @property
    def unmatched_labels(self) -> int:
        """Labels that are held and whose event is not; of the key that has most."""
        return max((key.labels.unmatched for key in self._keys if key.labels), default=0)

    def read(self, columns: Columns) -> Keyed:
        """The columns of events, in the form that fold and query take; asking does not add an entity."""
        return self._read(columns, {key.entity: key.added(columns, len(columns["occurred_at"])) for key in self._keys})

    def fold(self, rows: Keyed) -> np.ndarray:
        """Take events in. bool (rows,): False for an event that was there already, in this call or before.

        One too old for every window is not taken in, and not told from its repetition.
        """
        status = np.zeros(len(rows.at), np.int8)
        recent = rows.at > self.bound
        ids, at = self._ids(rows)[recent], rows.at[recent]
        for key in self._keys:
            hashes = rows.hashes[key.entity][recent]
            found = key.timeline.insert(hashes, at, ids, rows.added[key.entity][recent])
            if key.labels:
                new = found == NEW
                key.labels.folded(hashes[new], at[new], ids[new])
            # New to one of its entities means new: that another entity has it already is the sender's mistake.
            status[recent] = np.where(status[recent] == NEW, NEW, np.maximum(status[recent], found))
        self.tally.folded += int((status == NEW).sum())
        self.tally.duplicates += int((status == SEEN).sum())
        self.tally.too_old += int((~recent).sum())
        self.tally.without_room += int((status[recent] == REFUSED).sum())
        return status != SEEN

    def fold_labels(self, columns: Columns) -> None:
        """Take labels in: `label` (bool), `labelled_at` (µs), and the event's id, time and entity ids."""
        rows = self._read(columns, {})
        recent = rows.at > self.bound
        told = np.stack([columns["labelled_at"], columns["label"]], axis=1).astype(np.int64)[recent]
        status = np.zeros(len(told), np.int8)
        for key in self._keys:
            if key.labels:
                found = key.labels.insert(rows.hashes[key.entity][recent], rows.at[recent], rows.ids[recent], told)
                status = np.maximum(status, found)
        self.tally.labels += int((status == NEW).sum())
        self.tally.repeated_labels += int((status == SEEN).sum())
        self.tally.contradictory_labels = max((k.labels.contradictory for k in self._keys if k.labels), default=0)
        self.tally.too_old += int((~recent).sum())

    def query(self, rows: Keyed) -> dict[str, np.ndarray]:
        """float64 (rows,) for each declared aggregate, as of each event; it counts itself, folded or not."""
        found: dict[str, np.ndarray] = {}
        rows = rows._replace(ids=self._ids(rows))
        for key in self._keys:
            found |= key.query(rows)
        return found

    def extended(self, _: EventType, columns: Columns) -> Columns:
        """The columns of events with those of their history: what the pipeline calls a History."""
        if not self._keys:
            return columns
        return {**columns, **self.query(self.read(columns))}

    def following(self, columns: Columns) -> Columns:
        """Fold events that follow all before in time and id, and ask each; columns as `extended` gives them.

        Labels known by then must be folded before. What no later event asks for is dropped.
        """
        if not self._keys:
            return columns
        rows = self.read(columns)
        self.fold(rows)
        found = self.query(rows)
        if len(rows.at):
            self.trim(int(rows.at[-1]), len(rows.at))
        return {**columns, **found}

    def trim(self, oldest: int, events: int) -> None:
        """Nothing before `oldest` (µs) will be asked for: drop what is older by the horizon.

        A part of the entities is looked at in each call: more, the more `events` came since the last.
        """
        self.bound = max(self.bound, oldest - self.horizon)
        for part in (part for key in self._keys for part in (key.timeline, key.labels) if part):
            swept = part.sweep(self.bound, SWEPT * events)
            self.tally.dropped += swept.rows
            self.tally.evicted += swept.entities

    def copied(self, cursor: Cursor, rows: int) -> tuple[str, Part, Cursor | None]:
        """A copy of about so many rows, with the name of their timeline, and where the next begins; None at the end.

        What is folded between two copies may be in the later one or not: fold it again into what adopts them.
        """
        name, timeline = self._timelines()[cursor.timeline]
        part, entity = timeline.copied(cursor.entity, rows)
        if entity >= 0:
            return name, part, Cursor(cursor.timeline, entity)
        last = cursor.timeline + 1 == len(self._timelines())
        return name, part, None if last else Cursor(cursor.timeline + 1, 0)

    def adopt(self, name: str, part: Part) -> None:
        """Take in a copy, in the order in which copies were made; of the same declaration, or it does not fit."""
        timeline = dict(self._timelines())[name]
        own = timeline.words - self._words  # of a label, beside its event's id
        words_of_id = part.ids.shape[1] - own
        self._widen(words_of_id - self._words)
        part = part._replace(ids=widened(part.ids, self._words - words_of_id, words_of_id))
        for key in self._keys:
            if key.labels and key.labels.timeline is timeline:
                key.labels.adopt(part)
                return
        timeline.adopt(part)

    def _timelines(self) -> list[tuple[str, Timeline]]:
        """Every timeline by its name, that of events before that of their labels."""
        found = []
        for key in self._keys:
            name = "+".join(key.entity)
            found.append((name, key.timeline))
            if key.labels:
                found.append((f"{name} labels", key.labels.timeline))
        return found

    def _read(self, columns: Columns, added: dict[Entity, np.ndarray]) -> Keyed:
        ids = words(columns[raw("event_id")], self._words)
        self._widen(ids.shape[1] - self._words)
        hashes = {}
        for key in self._keys:
            if added or key.labels:
                hashes[key.entity] = key_hashes([columns[raw(name)] for name in key.entity])
        return Keyed(ids, np.array(columns["occurred_at"], np.int64), hashes, added)

    def _ids(self, rows: Keyed) -> np.ndarray:
        """Their id words, as many as ids have by now."""
        return widened(rows.ids, self._words - rows.ids.shape[1], rows.ids.shape[1])

    def _widen(self, more: int) -> None:
        if more > 0:
            for _, timeline in self._timelines():
                timeline.widen(more, self._words)
            self._words += more


def among_themselves(event_type: EventType, columns: Columns) -> Columns:
    """The columns of events with those of a history that knows only them; as they are where none is declared."""
    if not event_type.history:
        return columns
    history = EntityHistory(event_type)
    history.fold(history.read(columns))
    return history.extended(event_type, columns)


def _micros(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
