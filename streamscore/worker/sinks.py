"""Every sink of a worker as one: a batch goes to all of them, and is durable when it is in all of them."""

import time
from collections.abc import Sequence

from streamscore.core.events.record import NEVER
from streamscore.core.scoring.pipeline import Outcome
from streamscore.kafka.sink import KafkaSink
from streamscore.worker.protocols import Sink


class Sinks:
    """Kafka's sink, where there is one, and the sinks of one's own."""

    def __init__(self, kafka: KafkaSink | None, others: Sequence[Sink] = ()) -> None:
        self._kafka = kafka
        self._others = list(others)
        self._others_flushed = True

    def publish(self, outcome: Outcome) -> None:
        """Hand a batch's outputs to every sink."""
        if self._kafka:
            self._kafka.publish(outcome)
        for sink in self._others:
            sink.publish(outcome)
        self._others_flushed = not self._others

    def flush(self, seconds: float) -> bool:
        """Whether every sink has all that was published, waiting up to so many seconds for all of them together."""
        end = time.monotonic() + seconds
        in_kafka = self._kafka.flush(seconds) if self._kafka else True
        if not self._others_flushed:
            # Each is asked, also after one has said no: asking is what moves some of them on.
            flushed = [sink.flush(max(0.0, end - time.monotonic())) for sink in self._others]
            self._others_flushed = all(flushed)
        return in_kafka and self._others_flushed

    def outstanding(self) -> int:
        """Outputs that are not durable yet; while a sink of one's own does not say so, all of them."""
        if not self._others_flushed:
            return NEVER
        return self._kafka.outstanding() if self._kafka else 0

    def close(self) -> None:
        for sink in (*([self._kafka] if self._kafka else []), *self._others):
            sink.close()
