"""What was handed to Kafka, what of it Kafka has, and which offsets may therefore be committed.

    published → acknowledged → committed

A batch's offsets may be committed once Kafka has all that was handed over. That is so a few milliseconds
after a batch, and at full speed before the next one is published: nothing has to wait for it.
"""

import time
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from streamscore.core.events.event_type import EventType
from streamscore.core.events.record import Partition
from streamscore.core.scoring.pipeline import Outcome
from streamscore.monitoring.metrics import Metrics
from streamscore.worker.protocols import GroupSource
from streamscore.worker.sinks import Sinks

# What is in Kafka's hands at a time: enough to keep it busy, and a bound on what a crash repeats.
MOST_EVENTS, MOST_SECONDS = 32_768, 0.5


class Published(NamedTuple):
    """One batch in Kafka's hands: since when, the number of outputs up to its last one, and what it was made of.

    `timestamps` are its records' Kafka timestamps, `offsets` the next ones of its partitions.
    """

    at: float
    upto: int
    event_type: str
    timestamps: np.ndarray
    offsets: dict[Partition, int]


class Delivery:
    """The books of one worker's outputs. Used from its loop only."""

    def __init__(self, source: GroupSource, sinks: Sinks, metrics: Metrics) -> None:
        self._source, self._sinks, self._metrics = source, sinks, metrics
        self._published: list[Published] = []
        self._handed, self._aged = 0, 0  # outputs handed over; batches of `_published` whose age is told
        # The next offset of each partition that this worker ever scored, all outputs before it acknowledged.
        self._done: dict[Partition, int] = {}
        self._offered: dict[Partition, int] = {}  # what of it Kafka was asked to commit

    @property
    def open(self) -> bool:
        """Whether an output is not acknowledged yet."""
        return bool(self._published)

    @property
    def full(self) -> bool:
        """Whether Kafka should catch up before more is handed over."""
        if not self._published:
            return False
        events = sum(len(batch.timestamps) for batch in self._published)
        return events >= MOST_EVENTS or time.monotonic() - self._published[0].at >= MOST_SECONDS

    @property
    def committable(self) -> bool:
        """Whether there is something to commit that was not offered, or not taken."""
        return self._done != self._offered or self._source.commit_failed

    def publish(self, event_type: EventType, outcome: Outcome) -> None:
        """Hand a batch's outputs to Kafka, and count them."""
        self.acknowledged(0)  # of the batches before, as long as nothing new is outstanding
        self._sinks.publish(outcome)
        self._handed += len(outcome.scores) + len(outcome.alerts) + len(outcome.dead_letters)
        self._published.append(
            Published(time.monotonic(), self._handed, event_type.name, outcome.timestamps, outcome.offsets)
        )
        self._metrics.batch(event_type.name, event_type.decisions, outcome)

    def acknowledged(self, seconds: float) -> bool:
        """Whether every output so far is in Kafka, waiting up to so long; their offsets are committable then."""
        if not self._published:
            return True
        complete = self._sinks.flush(seconds)
        self._tell_ages()
        if not complete:
            return False
        for batch in self._published:
            self._done |= batch.offsets
        self._published, self._aged = [], 0
        return True

    def _tell_ages(self) -> None:
        """Observe how old the events of a batch are when Kafka has as many outputs as were handed over up to it.

        Good enough to measure by; not to commit by, since outputs of several partitions overtake each other.
        """
        now, has = time.time(), self._handed - self._sinks.outstanding()
        while self._aged < len(self._published) and self._published[self._aged].upto <= has:
            batch = self._published[self._aged]
            known = batch.timestamps[batch.timestamps >= 0]
            self._metrics.age.observe(batch.event_type, np.maximum(now - known / 1000, 0.0))
            self._aged += 1

    def commit(self, wait: bool = False) -> None:
        """Commit what is acknowledged. What Kafka does not take is offered again with the next commit."""
        if self._source.commit_failed:
            self._metrics.commit_failures.inc()
        self._offered = dict(self._done)
        self._source.commit(self._offered, wait=wait)

    def resume(self, partitions: Collection[Partition], seconds: float) -> dict[Partition, int] | None:
        """Where this worker stood in partitions that it gets back; None while it does not know."""
        if not self.acknowledged(seconds):
            return None
        self._offered = {}  # what could not be committed when they were lost can be now
        return {partition: self._done[partition] for partition in partitions if partition in self._done}

    def leave(self, seconds: float) -> None:
        """Partitions go to another worker: commit what can be, so that it is not scored twice."""
        self.acknowledged(seconds)
        self.commit(wait=True)

    def close(self) -> None:
        """Close every sink."""
        self._sinks.close()
