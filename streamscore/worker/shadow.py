"""Challengers on the champion's batches, after its outputs are handed over, on a thread of their own.

    published by the loop → offered → the challenger's risks → a topic of their own

The loop never waits for it: what comes while as much is waiting as may be is skipped and counted, and so is
what a challenger fails at. Nothing here is committed, and nothing of it is waited for when a worker stops but
for a moment.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.pipeline import Prepared
from streamscore.core.scoring.shadow import Scored, challenged, shadow_messages
from streamscore.kafka.shadow_sink import ShadowSink
from streamscore.monitoring.metrics import Metrics
from streamscore.settings.schema import Settings

log = logging.getLogger("streamscore.shadow")

# Encoded at a time: between two of these the loop gets the interpreter.
ROWS = 256
# After a failure a challenger rests: one that always fails must cost nothing.
REST_SECONDS = 1.0
# A full batch is a backlog, for which the champion needs every processor: of it a challenger gets a sample only.
RESTS_AFTER_FULL = 9.0
# Between two looks whether Kafka took what it was given, while nothing comes.
IDLE_SECONDS = 1.0
# What a worker that stops waits for the batch in hand, and for Kafka.
CLOSE_SECONDS = 2.0
TELL_SECONDS = 60.0

Offer = Callable[[Bundle, Prepared, np.ndarray], None]


def no_shadow(champion: Bundle, prepared: Prepared, risks: np.ndarray) -> None:
    """What a worker without a topic for challengers does with a batch that it has published."""


class Shadow:
    """One thread that scores with challengers. `offer` and `close` are called from the worker's loop."""

    def __init__(self, settings: Settings, topic: str, of: Callable[[str], Bundle | None], metrics: Metrics) -> None:
        """`of` gives the challenger of an event type, if there is one now."""
        self._of, self._metrics, self._most = of, metrics, settings.batch.max_events
        self._sink = ShadowSink(settings.kafka, topic, self._lost)
        self._waiting: queue.SimpleQueue[Scored | None] = queue.SimpleQueue()
        # Events that were given and taken: each is written by one thread.
        self._given, self._taken = 0, 0
        self._told: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def offer(self, champion: Bundle, prepared: Prepared, risks: np.ndarray) -> None:
        """Have a published batch scored by the challenger, if there is one, and if it can take more."""
        name, events = champion.event_type.name, len(prepared.valid)
        challenger = self._of(name)
        if challenger is None or not events or challenger.manifest.version == champion.manifest.version:
            return
        held = self._given - self._taken
        if held and held + events > self._most:
            self._metrics.shadow.events.labels(name, "skipped").inc(events)
            return
        self._given += events
        self._waiting.put(Scored(champion, prepared, risks))

    def close(self) -> None:
        """Finish what was offered, within a moment."""
        self._waiting.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while True:
            try:
                batch = self._waiting.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                self._sink.look()
                continue
            if batch is None:
                break
            self._taken += len(batch.prepared.valid)
            self._scored(batch)
        self._sink.close(CLOSE_SECONDS)

    def _scored(self, batch: Scored) -> None:
        name, events = batch.champion.event_type.name, len(batch.prepared.valid)
        challenger = self._of(name)
        if challenger is None:
            return  # it was promoted or withdrawn meanwhile
        begun = time.monotonic()
        try:
            risks, now = challenged(challenger, batch), datetime.now(UTC)
            for start in range(0, events, ROWS):
                self._sink.publish(shadow_messages(challenger, batch, risks, now, slice(start, start + ROWS)))
        except Exception as error:  # whatever a model or its features stumble over, the champion scores on
            self._metrics.shadow.events.labels(name, "failed").inc(events)
            self._tell(
                "challenger %s of %s failed: %s: %s", challenger.manifest.version, name, type(error).__name__, error
            )
            time.sleep(REST_SECONDS)
        else:
            self._metrics.shadow.events.labels(name, "scored").inc(events)
            if events >= self._most:
                time.sleep(RESTS_AFTER_FULL * (time.monotonic() - begun))

    def _lost(self, count: int, why: str) -> None:
        self._metrics.shadow.lost.inc(count)
        self._tell("risks of a challenger were lost: %s", why)

    def _tell(self, sentence: str, *values: object) -> None:
        """Log a kind of thing once in a while."""
        if time.monotonic() >= self._told.get(sentence, 0.0):
            self._told[sentence] = time.monotonic() + TELL_SECONDS
            log.warning(sentence, *values)
