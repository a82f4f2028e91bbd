"""One event type on its way through a worker: its champion, its history if it has one, its entries in order."""

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from streamscore.core.events.decode import Entry, Limits, decode
from streamscore.core.events.label import decode_labels
from streamscore.core.events.order import EventTimeOrder
from streamscore.core.events.record import Partition, Record
from streamscore.core.scoring.batch import BatchPolicy
from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.pipeline import Prepared, no_history, prepare
from streamscore.core.scoring.stream_history import StreamHistory
from streamscore.worker.protocols import GroupSource


class Topics(NamedTuple):
    """The name of the event type that each topic of events, and each topic of labels, is about."""

    events: Mapping[str, str]
    labels: Mapping[str, str] = {}

    def of(self, name: str) -> list[str]:
        """Every topic of an event type."""
        return [topic for topics in self for topic, kind in topics.items() if kind == name]

    def event_type_of(self, topic: str) -> str:
        """The name of the event type that a topic is about."""
        return self.events.get(topic) or self.labels[topic]


class Stream:
    """The entries of one event type between reading and scoring."""

    def __init__(self, bundle: Bundle, policy: BatchPolicy, limits: Limits) -> None:
        self.bundle = bundle
        self.history: StreamHistory | None = None
        self.order = EventTimeOrder()
        self._policy, self._limits = policy, limits
        self._oldest = 0.0  # when the oldest buffered entry was read

    def __len__(self) -> int:
        """Entries read and not yet scored."""
        return len(self.order)

    def use(self, bundle: Bundle) -> str:
        """Score with another champion from the next batch on; the version that it replaces."""
        before = self.bundle.manifest.version
        self.bundle = bundle
        return before

    def take_in(self, records: Sequence[Record], labels: bool, now: datetime) -> list[Entry]:
        """Decode the records of a topic of events, or of labels, and put them in order; the entries they became."""
        if not len(self.order):
            self._oldest = time.monotonic()
        if self.history and labels:
            entries = decode_labels(self.history.labels, records, now, self._limits)
        else:
            entries = decode(self.bundle.event_type, records, now, self._limits)
        self.order.push(entries)
        return entries

    def next_batch(self, pending: Collection[Partition], idle: bool) -> list[Entry]:
        """The entries of the next batch, oldest first; none while no batch is due.

        A full batch is due at once, a part of one when it is old enough or nothing more waits.
        """
        if not self._policy.due(len(self.order), time.monotonic() - self._oldest, idle):
            return []
        return self.order.release(self._policy.max_events, pending)

    def prepare(self, entries: Sequence[Entry], scored_from: Mapping[Partition, int]) -> Prepared:
        """A batch ready for the model; with a history, only the events of partitions that are ours to score."""
        if self.history:
            return self.history.prepare(entries, self.bundle, scored_from)
        return prepare(entries, self.bundle, no_history)

    def given(self) -> None:
        """The model has a batch: what is buffered now counts its age from here."""
        self._oldest = time.monotonic()

    def folded(self, partition: Partition) -> int:
        """The offset from which the history needs a partition read again."""
        return self.history.folded.get(partition, 0) if self.history else 0

    def leave(self, partition: Partition) -> None:
        """Forget what is buffered of a partition that another worker scores now; a history needs it all the same."""
        if self.history is None:
            self.order.drop(partition)

    def bound(self, source: GroupSource, pending: Collection[Partition], most: int) -> None:
        """Pause partitions with more than so many entries buffered, never the one that the others wait for."""
        if len(self.order) < most // 4 and not source.paused:
            return
        holder, buffered = self.order.holder(pending), self.order.buffered()
        source.throttle(
            pause=[p for p, count in buffered.items() if count > most and p != holder],
            resume=[p for p, count in buffered.items() if count < most // 4 or p == holder],
        )
