"""One event type on its way through a worker: its champion, its past if it has one, its entries in order."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from streamscore.core.events.decode import Entry, Limits, decode
from streamscore.core.events.label import decode_labels
from streamscore.core.events.order import EventTimeOrder
from streamscore.core.events.record import Partition, Record
from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.pipeline import Prepared, no_history, prepare
from streamscore.core.scoring.stream_history import StreamHistory
from streamscore.kafka.source import KafkaSource


class Topics(NamedTuple):
    """The name of the event type that each topic of events, and each topic of labels, is about."""

    events: Mapping[str, str]
    labels: Mapping[str, str] = {}

    def of(self, name: str) -> list[str]:
        """Every topic of an event type."""
        return [topic for topics in self for topic, kind in topics.items() if kind == name]


@dataclass
class Stream:
    """The entries of one event type between reading and scoring."""

    bundle: Bundle
    history: StreamHistory | None = None
    order: EventTimeOrder = field(default_factory=EventTimeOrder)
    oldest: float = 0.0  # when the oldest buffered entry was read

    def decoded(self, records: Sequence[Record], labels: bool, now: datetime, limits: Limits) -> list[Entry]:
        """Records of a topic of events, or of labels, as entries."""
        if self.history and labels:
            return decode_labels(self.history.labels, records, now, limits)
        return decode(self.bundle.event_type, records, now, limits)

    def prepared(self, entries: Sequence[Entry], scored_from: Mapping[Partition, int]) -> Prepared:
        """A released batch, ready for the model; with a past, only what stands in partitions that are ours to score."""
        if self.history:
            return self.history.prepare(entries, self.bundle, scored_from)
        return prepare(entries, self.bundle, no_history)

    def bound(self, source: KafkaSource, pending: Collection[Partition], most: int) -> None:
        """Pause partitions of which more than so many entries are held, never the one that the others wait for."""
        if len(self.order) < most // 4 and not source.paused:
            return
        holder, buffered = self.order.holder(pending), self.order.buffered()
        source.throttle(
            pause=[p for p, count in buffered.items() if count > most and p != holder],
            resume=[p for p, count in buffered.items() if count < most // 4 or p == holder],
        )
