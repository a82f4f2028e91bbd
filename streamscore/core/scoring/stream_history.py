"""The history of one stream as a worker keeps it: what is folded, what came twice, and since when it is complete.

    released → folded, each record once → the events of owned partitions are queried as of their own time

Records of all partitions are released in event time, with the labels between them. So the whole batch is folded
first, and then the events that this worker scores are queried.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import compress
from typing import NamedTuple

import msgspec
import numpy as np

from streamscore.core.events.decode import Entry, entry_coordinates, entry_event, entry_partition
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Columns
from streamscore.core.events.label import label_columns, label_type
from streamscore.core.events.record import NEVER, Offset, Partition
from streamscore.core.history.entity_history import Bounds, EntityHistory
from streamscore.core.history.timeline import Keyed
from streamscore.core.privacy.pseudonym import Pseudonyms
from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.coordinates import Coordinates, coordinates_of, from_offsets, of_kind, select_rows
from streamscore.core.scoring.pipeline import Prepared

# Repeated events remembered before those are forgotten that are committed, or beyond the horizon.
MOST_REPEATED = 100_000
# Offsets between two whose event's time is kept: to know how old an event may be that is read again.
STEP = 1000


class Step(NamedTuple):
    """An offset of a partition, and the time of its event in seconds since 1970."""

    offset: int
    at: float


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a history is, beside its rows, in lists that a file can hold.

    `folded` and `needed` are the next offsets to fold and the ones that the group had committed: nothing before
    these can be asked. Below `reached` an event may be in it already. `steps` and `repeated` are places with the time
    of their event.
    """

    folded: list[Offset]
    reached: list[Offset]
    needed: list[Offset]
    steps: list[tuple[str, int, int, float]]
    repeated: list[tuple[str, int, int, float]]
    cut: list[Partition]
    complete_since: float
    newest: float
    bound: int


class StreamHistory:
    """The history of one event type's stream. Used from one thread."""

    def __init__(
        self,
        event_type: EventType,
        bounds: Bounds,
        begun: Mapping[Partition, int],
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        """`begun` is the offset from which each partition is read; 0 where nothing was deleted before it.

        With `pseudonyms` the history knows entities by these, as an archive that has them does.
        """
        self.event_type, self.labels, self._pseudonyms = event_type, label_type(event_type), pseudonyms
        self.by_entity = EntityHistory(event_type, bounds)
        # The next offset of each partition that is not folded yet.
        self.folded = dict(begun)
        # Partitions whose beginning is not kept any more, until their first record says since when they are known.
        self._cut = {partition for partition, offset in begun.items() if offset > 0}
        self._complete_since = 0.0
        self._repeated: dict[Offset, float] = {}  # and when they occurred
        self._steps: dict[Partition, deque[Step]] = {}
        # Below these offsets an event may be in a history that was adopted: what is there already is no repetition.
        self._adopted: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        self._newest, self._since_forgotten = 0.0, 0
        self.late = 0  # events that came after ones that are younger were scored without them
        self.late_labels = 0  # and labels

    @property
    def horizon(self) -> int:
        """µs: how far back events may still be asked for."""
        return self.by_entity.horizon

    @property
    def complete_since(self) -> float:
        """Seconds since 1970: from then on no event of any window is missing, and no label.

        While nothing tells how much is missing of a partition, that is later than any event.
        """
        return max(self._complete_since, self._newest + self.horizon / 1e6) if self._cut else self._complete_since

    def prepare(self, entries: Sequence[Entry], bundle: Bundle, scored_from: Mapping[Partition, int]) -> Prepared:
        """Fold a released batch, and make ready for the model what stands in our partitions from an offset on."""
        kinds = list(map(type, map(entry_event, entries)))
        self._fold_labels(of_kind(entries, kinds, self.labels.struct))
        events = of_kind(entries, kinds, self.event_type.struct)
        columns = self.event_type.columns(list(map(entry_event, events)))
        rows, stand = self.by_entity.read(self._named(columns)), coordinates_of(events)
        if events:
            self._fold(events, rows, stand)
        self._pass(of_kind(entries, kinds, type(None)))
        ours = stand.since(scored_from, otherwise=NEVER)
        valid = events if ours.all() else list(compress(events, ours.tolist()))
        if len(valid) < len(events):
            rows, columns = rows.taken(ours), select_rows(columns, ours)
        columns = {**columns, **self.by_entity.query(rows)}
        return Prepared(
            entries=valid if len(valid) == len(entries) else from_offsets(entries, scored_from),
            valid=valid,
            columns=columns,
            matrix=bundle.features.matrix(columns, len(valid)),
            duplicates={row for row, entry in enumerate(valid) if entry_coordinates(entry) in self._repeated}
            if self._repeated
            else (),
            complete_since=datetime.fromtimestamp(self.complete_since, UTC),
        )

    def _fold(self, events: Sequence[Entry], rows: Keyed, stand: Coordinates) -> None:
        """Take in the events that are not in yet, and remember those that came before at another offset."""
        fresh = stand.since(self.folded, otherwise=0)
        if fresh.any():
            came = rows if fresh.all() else rows.taken(fresh)
            taken = self.by_entity.fold(came)
            self._note_repeated([events[row] for row in np.flatnonzero(fresh)[~taken].tolist()])
            times = came.at / 1e6
            self.late += int((times < self._newest).sum())
            self._newest = max(self._newest, float(times.max()))
        self._note(events, stand)
        self._since_forgotten += len(events)

    def _note_repeated(self, there: Sequence[Entry]) -> None:
        """Remember which events came before at another offset, of those that the history had already."""
        repeated = [entry for entry in there if entry.record.offset >= self._adopted.get(entry_partition(entry), 0)]
        self.by_entity.tally.duplicates -= len(there) - len(repeated)
        self._repeated |= {entry_coordinates(entry): entry.at for entry in repeated}

    def _note(self, events: Sequence[Entry], stand: Coordinates) -> None:
        """How far each partition is, and how old its events are there; entries keep the order of their partition."""
        for partition, first, last in zip(stand.partitions, *stand.ends(), strict=True):
            entry = events[first]
            self.folded[partition] = max(self.folded.get(partition, 0), events[last].record.offset + 1)
            steps = self._steps.setdefault(partition, deque())
            if not steps or entry.record.offset >= steps[-1].offset + STEP:
                steps.append(Step(entry.record.offset, entry.at))
            self._known_since(partition, entry.at)

    def _known_since(self, partition: Partition, at: float) -> None:
        if partition in self._cut:
            self._cut.discard(partition)
            self._complete_since = max(self._complete_since, at + self.horizon / 1e6)

    def _fold_labels(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        self.by_entity.fold_labels(self._named(label_columns(self.labels, [entry.event for entry in entries])))
        self.late_labels += sum(entry.at < self._newest for entry in entries)
        for entry in entries:
            self._known_since(entry_partition(entry), entry.at)
        self._pass(entries)

    def _pass(self, entries: Sequence[Entry]) -> None:
        """Records that need not be read again; of those that are no event nothing is kept."""
        for entry in entries:
            partition = entry_partition(entry)
            self.folded[partition] = max(self.folded.get(partition, 0), entry.record.offset + 1)

    def _named(self, columns: Columns) -> Columns:
        return self._pseudonyms.columns(self.event_type, columns) if self._pseudonyms else columns

    def forget(self, committed: Mapping[Partition, int]) -> None:
        """Drop what no event will ask for: not even one that is read again, from its partition's committed offset on.

        A partition that is committed to its end holds nothing.
        """
        self._committed = {p: offset for p, offset in committed.items() if offset >= 0 and p in self.folded}
        oldest = self._newest
        for partition, steps in self._steps.items():
            offset = committed.get(partition, -1)
            while len(steps) > 1 and steps[1].offset <= offset:
                steps.popleft()
            if steps and offset < self.folded[partition]:
                oldest = min(oldest, steps[0].at)
        came, self._since_forgotten = self._since_forgotten, 0
        self.by_entity.trim(int(oldest * 1e6), came)
        if len(self._repeated) > MOST_REPEATED:  # only what is not committed is read again
            kept = ((place, at) for place, at in self._repeated.items() if place[2] >= committed.get(place[:2], 0))
            self._repeated = {place: at for place, at in kept if at * 1e6 > self.by_entity.bound}

    def standing(self) -> Checkpoint:
        """How far it is now: taken before its rows are copied, and again when the copy is complete."""
        return Checkpoint(
            folded=[(*partition, offset) for partition, offset in self.folded.items()],
            # One that was adopted itself holds more than it has folded until it has caught up.
            reached=[(*p, max(offset, self._adopted.get(p, 0))) for p, offset in self.folded.items()],
            needed=[(*partition, offset) for partition, offset in self._committed.items()],
            steps=[(*partition, *step) for partition, steps in self._steps.items() for step in steps],
            repeated=[(*place, at) for place, at in self._repeated.items()],
            cut=list(self._cut),
            complete_since=self._complete_since,
            newest=self._newest,
            bound=self.by_entity.bound,
        )

    def resume(self, before: Checkpoint, after: Checkpoint) -> None:
        """Go on where another stood before and after its history was copied into this one's.

        What the other folded during the copy is read and folded again: the copy may have it or not.
        """
        folded = {(topic, partition): offset for topic, partition, offset in before.folded}
        self._cut = (self._cut - folded.keys()) | set(after.cut)
        self.folded |= folded
        self._adopted = {(topic, partition): offset for topic, partition, offset in after.reached}
        for topic, partition, offset, at in before.steps:
            self._steps.setdefault((topic, partition), deque()).append(Step(offset, at))
        self._repeated = {(topic, partition, offset): at for topic, partition, offset, at in after.repeated}
        self._complete_since, self._newest = after.complete_since, before.newest
        self.by_entity.bound = after.bound
