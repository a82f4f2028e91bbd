"""The worker's loop. Its order is the delivery guarantee:

    read → decode → release in event time → score → publish → acknowledged → commit

A crash anywhere repeats work and loses none: what is committed has all its outputs in every sink.
"""

import gc
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

import numpy as np

from streamscore.core.events.record import Partition, Record
from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.pipeline import conclude
from streamscore.errors import DrainTimeout
from streamscore.kafka.listener import RebalanceListener
from streamscore.monitoring.metrics import Metrics
from streamscore.monitoring.probe import Heartbeat
from streamscore.process import undisturbed
from streamscore.settings.schema import Settings
from streamscore.worker.catch_up import CatchUp
from streamscore.worker.delivery import Delivery
from streamscore.worker.model_thread import ModelThread
from streamscore.worker.protocols import GroupSource
from streamscore.worker.shadow import Offer
from streamscore.worker.stopping import Stopping
from streamscore.worker.stream import Stream, Topics

log = logging.getLogger("streamscore.worker")

# How long an idle loop waits for the first record before it looks at everything else again; and
# when acknowledgements are due, or entries are held that others may still precede.
IDLE_WAIT, BUSY_WAIT = 0.05, 0.002
# One look at acknowledgements while a broker is away, between two looks at signals and the group.
CONFIRM_SLICE = 1.0
# Half of Kafka's least session time: for the last batch of partitions that leave.
LEAVING_SECONDS = 3.0
LAG_SECONDS = 1.0
# Batches buffered per partition before it is paused: 8 × 4096 events of 500 bytes on 6 are 100 MB.
BUFFERED_BATCHES = 8
# Collections run when the stream is quiet; at full speed at most this often. One costs tens of
# milliseconds; left to itself the collector takes a third of the throughput.
COLLECT_SECONDS = 30.0


@dataclass(frozen=True)
class Parts:
    """What a loop works with. `startup` builds all of it; a test may hand in its own.

    `streams` has an entry for each event type, `champions` gives those that became ready since it was asked last,
    `offer` takes each published batch for the challenger, and `clock` gives the time of scoring.
    """

    source: GroupSource
    delivery: Delivery
    catch_up: CatchUp
    streams: Mapping[str, Stream]
    topics: Topics
    metrics: Metrics
    heartbeat: Heartbeat
    stopping: Stopping
    champions: Callable[[], Sequence[Bundle]]
    offer: Offer
    clock: Callable[[], datetime]


class ScoringLoop:
    """Scores the partitions its group gives it. `run` returns when a stop was asked for and all is committed."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings, self._parts = settings, parts
        self._source, self._delivery, self._catch_up = parts.source, parts.delivery, parts.catch_up
        self._streams, self._topics = parts.streams, parts.topics
        self._metrics, self._heartbeat = parts.metrics, parts.heartbeat
        self._model = ModelThread()
        self._newest: dict[str, float] = {}
        self._idle = True
        self._lap_started, self._rebalances = 0.0, 0
        self._last_commit = self._last_lag = self._last_collect = time.monotonic()

    def run(self) -> None:
        """Score until a stop is asked for. Raises what `errors.py` lists, and loses nothing then."""
        for name, stream in self._streams.items():
            self._metrics.use_model(name, stream.bundle.manifest.version, None)
            self._metrics.device.labels(stream.bundle.scorer.device).set(1)
        self._source.join(RebalanceListener(self._resume, self._folded, self._reading, self._leaving))
        try:
            self._catch_up.begin(self._streams, self._topics, self._heartbeat.turn)
            with undisturbed():
                while not self._parts.stopping.asked:
                    self._turn()
                self._drain()
        finally:
            self._catch_up.close()
            self._source.close()
        self._delivery.close()

    def _turn(self) -> None:
        """Once around: group, models, records, batches, acknowledgements, commit."""
        self._source.poll_group()
        self._swap(self._parts.champions())
        idle = self._read()
        pending = self._source.pending()
        for stream in self._streams.values():
            self._score_due(stream, pending, idle)
        if idle:
            self._conclude()
        self._confirm()
        if self._catch_up.copy():
            self._lap("snapshot")
        self._look_around(pending, idle)

    def _read(self) -> bool:
        """Read what waits, decode it and put it in order; whether nothing more was waiting."""
        self._lap_started = time.perf_counter()
        held = any(map(len, self._streams.values()))
        # What was just read is not kept waiting for more.
        busy = held or (self._delivery.open and self._source.connected)
        wait = 0.0 if held and not self._idle else BUSY_WAIT if busy else IDLE_WAIT
        records = self._source.read(self._settings.batch.max_events, wait)
        self._idle = not records
        if self._idle:
            return True
        self._lap("read")
        now = self._parts.clock()
        for topic, run in groupby(records, attrgetter("topic")):
            self._take_in(topic, list(run), now)
        self._lap("decode")
        return False

    def _take_in(self, topic: str, records: Sequence[Record], now: datetime) -> None:
        self._metrics.consumed.labels(topic).inc(len(records))
        stream = self._stream(topic)
        labels = topic in self._topics.labels
        entries = stream.take_in(records, labels, now)
        if labels:
            self._metrics.labels(stream.bundle.event_type.name, entries)

    def _stream(self, topic: str) -> Stream:
        return self._streams[self._topics.event_type_of(topic)]

    def _score_due(self, stream: Stream, pending: Collection[Partition], idle: bool) -> None:
        """Give the model each batch that is due."""
        while True:
            self._lap_started = time.perf_counter()
            entries = stream.next_batch(pending, idle)
            if not entries:
                break
            self._lap("release")
            prepared = stream.prepare(entries, self._source.scored_from)
            self._lap("features")
            self._conclude()  # the batch before, which the model had in hand meanwhile
            if not prepared.entries:
                continue  # only of partitions that others score
            if stream.history and (reason := self._catch_up.missing(stream.history, prepared)):
                self._catch_up.hold(reason, self._heartbeat, lambda: not self._parts.stopping.asked)
                break
            self._model.give(stream.bundle, prepared, beside=not idle)
            stream.given()

    def _conclude(self) -> None:
        """Publish the batch that the model has in hand, if there is one."""
        in_hand = self._model.take()
        if in_hand is None:
            return
        bundle, prepared, judged = in_hand
        self._lap_started = time.perf_counter()
        judged.result()
        self._lap("model")
        features_of = self._settings.publish_features
        outcome = conclude(prepared, bundle, judged.result(), self._parts.clock(), features_of)
        self._lap("encode")
        self._delivery.publish(bundle.event_type, outcome)
        self._lap("publish")
        self._parts.offer(bundle, prepared, judged.result().risks)
        # Per topic the entries keep their order, so its last one is its newest; its time is unknown where it is -1.
        last = {entry.record.topic: entry.record.timestamp for entry in prepared.entries}
        self._newest |= {topic: at / 1000 for topic, at in last.items() if at >= 0}

    def _confirm(self) -> None:
        """Hear of acknowledgements, and wait for them only when Kafka must catch up; commit when it is time."""
        self._lap_started = time.perf_counter()
        # Events that arrive now do not wait for the outputs of those before them.
        while not self._delivery.acknowledged(CONFIRM_SLICE if self._delivery.full else 0):
            if self._parts.stopping.asked or not self._delivery.full:
                break
            self._heartbeat.turn(self._waiting_for() or "acknowledgements")
            self._report()
            self._source.poll_group()
        self._lap("acknowledge")
        due = time.monotonic() - self._last_commit >= self._settings.batch.commit_interval_ms / 1000
        if due and self._delivery.committable and self._source.connected:
            self._last_commit = time.monotonic()
            self._delivery.commit()
            self._lap("commit")

    def _resume(self, partitions: Collection[Partition]) -> Mapping[Partition, int] | None:
        self._conclude()
        return self._delivery.resume(partitions, CONFIRM_SLICE)

    def _folded(self, partition: Partition) -> int:
        return self._stream(partition[0]).folded(partition)

    def _reading(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            self._stream(partition[0]).order.add(partition)
        log.info("reading %d partitions anew, scoring %d", len(partitions), len(self._source.owned))

    def _leaving(self, partitions: Collection[Partition]) -> None:
        """Partitions go to another worker: commit what is acknowledged, forget what is not scored."""
        self._conclude()
        self._delivery.leave(LEAVING_SECONDS)
        for partition in partitions:
            self._stream(partition[0]).leave(partition)

    def _swap(self, bundles: Sequence[Bundle]) -> None:
        """Use new champions from the next batch on."""
        for bundle in bundles:
            name, version = bundle.event_type.name, bundle.manifest.version
            self._metrics.use_model(name, version, previous=self._streams[name].use(bundle))
            log.info("champion of %s is now %s", name, version)

    def _look_around(self, pending: Collection[Partition], idle: bool) -> None:
        """What a loop does beside scoring: say how it is, bound its buffers, collect garbage."""
        self._heartbeat.turn(self._waiting_for())
        for stream in self._streams.values():
            stream.bound(self._source, pending, BUFFERED_BATCHES * self._settings.batch.max_events)
        now = time.monotonic()
        if now - self._last_lag >= LAG_SECONDS:
            self._last_lag = now
            self._report()
        if now - self._last_collect >= (LAG_SECONDS if idle else COLLECT_SECONDS):
            self._last_collect = now
            gc.collect()

    def _report(self) -> None:
        self._catch_up.look()
        self._metrics.orders({name: stream.order for name, stream in self._streams.items()})
        self._metrics.lags(self._source.lag(), self._newest, time.time())
        self._metrics.partitions.set(len(self._source.owned))
        self._metrics.rebalances.inc(self._source.rebalances - self._rebalances)
        self._rebalances = self._source.rebalances
        self._metrics.connected.set(self._source.connected)

    def _waiting_for(self) -> str | None:
        return self._source.waiting_for or self._catch_up.waiting_for

    def _drain(self) -> None:
        """Let every sink acknowledge what was handed over, commit it, and no more."""
        log.info("stopping: waiting for acknowledgements")
        self._conclude()
        while not self._delivery.acknowledged(CONFIRM_SLICE):
            if self._parts.stopping.out_of_time:
                raise DrainTimeout(
                    f"outputs were not acknowledged within {self._settings.drain_seconds:g} s; "
                    "their events are not committed and will be scored again"
                )
        self._delivery.commit(wait=True)

    def _lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._metrics.stage.observe(stage, np.array([now - self._lap_started]))
        self._lap_started = now
