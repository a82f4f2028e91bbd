"""What was handed to Kafka, what of it Kafka has, and which offsets may therefore be committed.

    published → acknowledged → committed

Nothing moves on before all of its batch's outputs are acknowledged.
"""

import time
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from streamscore.core.event_type import EventType
from streamscore.core.order import Partition
from streamscore.core.pipeline import Outcome
from streamscore.kafka_sink import KafkaSink
from streamscore.kafka_source import KafkaSource
from streamscore.metrics import Metrics


class Published(NamedTuple):
    """One batch in Kafka's hands: its event type and the Kafka timestamps of its records."""

    event_type: str
    timestamps: np.ndarray


class Delivery:
    """The books of one worker's outputs. Used from its loop only."""

    def __init__(self, source: KafkaSource, sink: KafkaSink, metrics: Metrics) -> None:
        self._source, self._sink, self._metrics = source, sink, metrics
        self._published: list[Published] = []
        self._unconfirmed: dict[Partition, int] = {}
        self._committable: dict[Partition, int] = {}
        # The next offset of each partition that this worker ever scored, all outputs before it acknowledged.
        self._done: dict[Partition, int] = {}

    @property
    def open(self) -> bool:
        """Whether something waits to be acknowledged or committed."""
        return bool(self._unconfirmed or self._committable)

    def publish(self, event_type: EventType, outcome: Outcome) -> None:
        """Hand a batch's outputs to Kafka, and count them."""
        self._sink.publish(outcome)
        self._unconfirmed |= outcome.offsets
        self._published.append(Published(event_type.name, outcome.timestamps))
        self._metrics.batch(event_type.name, event_type.decisions, outcome)

    def acknowledged(self, seconds: float) -> bool:
        """Whether every output so far is in Kafka, waiting up to so long; their offsets are committable then."""
        if not self._sink.confirm(seconds):
            return False
        now = time.time()
        for event_type, timestamps in self._published:
            known = timestamps[timestamps >= 0]
            self._metrics.age.observe(event_type, np.maximum(now - known / 1000, 0.0))
        self._done |= self._unconfirmed
        self._committable |= self._unconfirmed
        self._unconfirmed, self._published = {}, []
        return True

    def commit(self) -> None:
        """Commit what is acknowledged; what Kafka does not take is offered again next time."""
        if self._source.commit(self._committable):
            self._committable = {}
        else:
            self._metrics.commit_failures.inc()

    def resume(self, partitions: Collection[Partition], seconds: float) -> dict[Partition, int] | None:
        """Where this worker stood in partitions that it gets back; None while it does not know."""
        if not self.acknowledged(seconds):
            return None
        done = {partition: self._done[partition] for partition in partitions if partition in self._done}
        self._committable |= done
        return done

    def leave(self, partitions: Collection[Partition], seconds: float) -> None:
        """Partitions go to another worker: commit what can be, so that it is not scored twice."""
        if self.acknowledged(seconds):
            self.commit()
        for partition in partitions:
            self._committable.pop(partition, None)
