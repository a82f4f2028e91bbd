"""What was handed to Kafka, what of it Kafka has, and which offsets may therefore be committed.

    published → acknowledged → committed

A batch's offsets may be committed when all of its outputs, and all of the batches before it, are
acknowledged. Nothing waits for that while there is something to score.
"""

import time
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from streamscore.core.event_type import EventType
from streamscore.core.order import Partition
from streamscore.core.pipeline import Outcome
from streamscore.kafka_sink import KafkaSink
from streamscore.kafka_source import KafkaSource
from streamscore.metrics import Metrics

# Batches in Kafka's hands at a time: enough to keep it busy, and a bound on what a crash repeats.
MOST_PUBLISHED = 8


@dataclass
class Published:
    """One batch in Kafka's hands: `left` counts the outputs that are not acknowledged."""

    event_type: str
    timestamps: np.ndarray
    offsets: dict[Partition, int]
    left: int = 0

    def delivered(self) -> None:
        self.left -= 1


class Delivery:
    """The books of one worker's outputs. Used from its loop only."""

    def __init__(self, source: KafkaSource, sink: KafkaSink, metrics: Metrics) -> None:
        self._source, self._sink, self._metrics = source, sink, metrics
        self._published: deque[Published] = deque()
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
        return len(self._published) >= MOST_PUBLISHED

    @property
    def committable(self) -> bool:
        """Whether there is something to commit that was not offered, or not taken."""
        return self._done != self._offered or self._source.commit_failed

    def publish(self, event_type: EventType, outcome: Outcome) -> None:
        """Hand a batch's outputs to Kafka, and count them."""
        batch = Published(event_type.name, outcome.timestamps, outcome.offsets)
        # Before anything is handed over: a delivery can be heard of while the rest still is.
        self._published.append(batch)
        batch.left += self._sink.publish(outcome, batch.delivered)
        self._metrics.batch(event_type.name, event_type.decisions, outcome)

    def acknowledged(self, seconds: float) -> bool:
        """Hear of acknowledgements, waiting up to so long; whether every output so far is in Kafka."""
        end = time.monotonic() + seconds
        self._sink.poll(0)
        self._take_complete()
        while self._published and time.monotonic() < end:
            self._sink.poll(min(seconds, 0.05))
            self._take_complete()
        return not self._published

    def _take_complete(self) -> None:
        now = time.time()
        while self._published and self._published[0].left == 0:
            batch = self._published.popleft()
            known = batch.timestamps[batch.timestamps >= 0]
            self._metrics.age.observe(batch.event_type, np.maximum(now - known / 1000, 0.0))
            self._done |= batch.offsets

    def commit(self, wait: bool = False) -> None:
        """Commit what is acknowledged. What Kafka does not take is offered again with the next commit."""
        if self._source.commit_failed:
            self._metrics.commit_failures.inc()
        self._offered = dict(self._done)
        self._source.commit(self._offered, wait)

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
