"""How a worker comes to its past: everything that the topics still hold is read and folded before it is ready."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from streamscore.core.history import Bounds
from streamscore.core.order import Partition
from streamscore.core.past import Past
from streamscore.core.pipeline import Prepared
from streamscore.kafka_source import KafkaSource
from streamscore.metrics import Metrics
from streamscore.probe import Pulse
from streamscore.settings import History
from streamscore.streams import Stream, Topics

# Between two looks at the group and at signals while nothing is scored.
HOLD_SECONDS = 0.05
# Between two looks whether a topic has more partitions than before.
NEW_SECONDS = 60.0

log = logging.getLogger("streamscore.worker")


class Recall:
    """The pasts of a worker's streams: how far they are, and what of them nobody will ask for again."""

    def __init__(self, source: KafkaSource, history: History) -> None:
        self._source, self._history = source, history
        self._pasts: list[Past] = []
        self._topics: list[str] = []
        self._next_new = 0.0
        self._ends: dict[Partition, int] | None = None  # of what is to be folded at the start
        self.waiting_for: str | None = None

    def begin(self, streams: Mapping[str, Stream], topics: Topics) -> None:
        """Follow every topic of the event types that declare a history, from the oldest record kept on."""
        bounds = Bounds(timedelta(seconds=self._history.slack_seconds), self._history.max_entities)
        for name, stream in streams.items():
            if stream.bundle.event_type.history:
                self._topics += topics.of(name)
                starts = self._source.follow(topics.of(name))
                stream.past = Past(stream.bundle.event_type, bounds, starts)
                self._pasts.append(stream.past)
                self._source.read_from(starts)
                self.waiting_for = "history"

    def look(self, metrics: Metrics) -> None:
        """See how much is left to fold, and drop what no event will ask for; called about once a second."""
        if not self._pasts:
            return
        positions = self._source.positions()
        metrics.left_to_fold.set(sum(max(0, end - positions.get(p, end)) for p, end in self._source.ends().items()))
        for past in self._pasts:
            metrics.history(past)
        if self.waiting_for:
            self.waiting_for = self._left_to_fold()
        if time.monotonic() >= self._next_new:
            self._next_new = time.monotonic() + NEW_SECONDS
            self._source.follow_new(self._topics)
        committed = self._source.committed()
        for past in self._pasts if committed else ():
            past.forget(committed)

    def _left_to_fold(self) -> str | None:
        ends, positions = self._source.ends(), self._source.positions()
        if self._ends is None and positions.keys() <= ends.keys():
            self._ends = ends
        if self._ends is None:
            return "history"
        total = sum(self._ends.values())
        left = sum(max(0, end - positions.get(partition, end)) for partition, end in self._ends.items())
        log.info("history: %d of %d records are folded", total - left, total)
        return f"history: {left:,} of {total:,} records are left to fold" if left else None

    def missing(self, past: Past, prepared: Prepared) -> str | None:
        """Why a batch must not be scored yet: a part of the past that its numbers are made of is not there."""
        if self._history.allow_partial or all(entry.at >= past.complete_since for entry in prepared.valid):
            return None
        since = datetime.fromtimestamp(past.complete_since, UTC)
        return f"history, complete only from {since:%Y-%m-%dT%H:%M:%SZ} on; history.allow_partial scores without it"

    def hold(self, reason: str, pulse: Pulse, going: Callable[[], bool]) -> None:
        """Stay in the group and score nothing, until an operator has decided what to do."""
        log.error("waiting for %s", reason)
        while going():
            pulse.turn(reason)
            self._source.poll_group()
            time.sleep(HOLD_SECONDS)
