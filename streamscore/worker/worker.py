"""The worker's loop. Its order is the delivery guarantee:

    read → decode → release in event time → process → publish → acknowledged → commit

A crash anywhere repeats work and loses none: what is committed has all its outputs in Kafka.
"""

import gc
import logging
import time
from collections.abc import Collection
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter

import numpy as np

from streamscore.core.events.decode import Limits
from streamscore.core.events.record import Partition
from streamscore.core.scoring.batch import BatchPolicy
from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.pipeline import conclude
from streamscore.errors import DrainTimeout
from streamscore.kafka.listener import RebalanceListener
from streamscore.kafka.sink import KafkaSink
from streamscore.kafka.source import KafkaSource
from streamscore.models.champions import ChampionWatch
from streamscore.monitoring.metrics import Metrics
from streamscore.monitoring.probe import Heartbeat
from streamscore.process import undisturbed
from streamscore.settings.schema import Settings
from streamscore.worker.catch_up import CatchUp
from streamscore.worker.delivery import Delivery
from streamscore.worker.model_thread import ModelThread
from streamscore.worker.shadow import Offer, no_shadow
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


class Worker:
    """Scores the partitions its group gives it. `run` returns when `stop` was called and all is committed."""

    def __init__(
        self, settings: Settings, topics: Topics, bundles: dict[str, Bundle], metrics: Metrics, pulse: Heartbeat
    ) -> None:
        """`bundles` is the champion of each event type."""
        self._settings, self._topics = settings, topics
        self._streams = {name: Stream(bundle) for name, bundle in bundles.items()}
        self._policy = BatchPolicy(settings.batch.max_events, settings.batch.max_age_ms / 1000)
        self._limits = Limits(settings.limits.max_event_bytes, settings.limits.max_future_seconds)
        self.metrics, self.pulse = metrics, pulse
        self._newest: dict[str, float] = {}
        self._model = ModelThread()
        self._idle, self._stopping, self._stop_at = True, False, float("inf")
        self._lap_started, self._rebalances = 0.0, 0
        self._last_commit = self._last_lag = self._last_collect = time.monotonic()

    def stop(self) -> None:
        """Ask the loop to drain and leave the group. Safe from a signal handler."""
        self._stopping, self._stop_at = True, time.monotonic() + self._settings.drain_seconds

    def run(self, watch: ChampionWatch, offer: Offer = no_shadow) -> None:
        """Score until stopped; each published batch is offered. Raises what `errors.py` lists, losing nothing."""
        self._offer = offer
        for name, stream in self._streams.items():
            self.metrics.use_model(name, stream.bundle.manifest.version, None)
            self.metrics.device.labels(stream.bundle.scorer.device).set(1)
        hooks = RebalanceListener(self._resume, self._folded, self._reading, self._leaving)
        self._source = KafkaSource(self._settings.kafka, list(self._topics.events), hooks)
        sink = KafkaSink(self._settings.kafka, self._settings.outputs, self._source.health.on_error, self._no_room)
        self._delivery = Delivery(self._source, sink, self.metrics)
        self._recall = CatchUp(self._source, self._settings, self.metrics)
        self._recall.begin(self._streams, self._topics, self.pulse.turn)
        try:
            with undisturbed():
                while not self._stopping:
                    self._turn(watch)
                self._drain()
        finally:
            self._recall.close()
            self._source.close()
        sink.close()

    def _turn(self, watch: ChampionWatch) -> None:
        """Once around: group, models, records, batches, acknowledgements, commit."""
        self._source.poll_group()
        self._swap(watch.take())
        idle = self._read()
        pending = self._source.pending()
        for stream in self._streams.values():
            self._score_due(stream, pending, idle)
        if idle:
            self._conclude()
        self._confirm()
        if self._recall.copy():
            self._lap("snapshot")
        self._look_around(pending, idle)

    def _read(self) -> bool:
        """Read what waits, decode it and put it in order; whether nothing more was waiting."""
        self._lap_started = time.perf_counter()
        held = any(len(stream.order) for stream in self._streams.values())
        # What was just read is not kept waiting for more.
        busy = held or (self._delivery.open and self._source.health.connected)
        wait = 0.0 if held and not self._idle else BUSY_WAIT if busy else IDLE_WAIT
        records = self._source.read(self._policy.max_events, wait)
        self._idle = not records
        if self._idle:
            return True
        self._lap("read")
        now = datetime.now(UTC)
        for topic, run in groupby(records, attrgetter("topic")):
            ours = list(run)
            self.metrics.consumed.labels(topic).inc(len(ours))
            stream = self._stream(topic)
            if not len(stream.order):
                stream.oldest = time.monotonic()
            entries = stream.decoded(ours, topic in self._topics.labels, now, self._limits)
            if topic in self._topics.labels:
                self.metrics.labels(stream.bundle.event_type.name, entries)
            stream.order.push(entries)
        self._lap("decode")
        return False

    def _stream(self, topic: str) -> Stream:
        return self._streams[self._topics.events.get(topic) or self._topics.labels[topic]]

    def _score_due(self, stream: Stream, pending: Collection[Partition], idle: bool) -> None:
        """Score full batches; a part of one when it is old enough or nothing more waits."""
        while self._policy.due(len(stream.order), time.monotonic() - stream.oldest, idle):
            self._lap_started = time.perf_counter()
            entries = stream.order.release(self._policy.max_events, pending)
            if not entries:
                break
            self._lap("release")
            prepared = stream.prepared(entries, self._source.scored_from)
            self._lap("features")
            self._conclude()  # the batch before, which the model had in hand meanwhile
            if not prepared.entries:
                continue  # only of partitions that others score
            if stream.history and (reason := self._recall.missing(stream.history, prepared)):
                self._recall.hold(reason, self.pulse, lambda: not self._stopping)
                break
            self._model.give(stream.bundle, prepared, beside=not idle)
            stream.oldest = time.monotonic()

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
        outcome = conclude(prepared, bundle, judged.result(), datetime.now(UTC), features_of)
        self._lap("encode")
        self._delivery.publish(bundle.event_type, outcome)
        self._lap("publish")
        self._offer(bundle, prepared, judged.result().risks)
        # Per topic the entries keep their order, so its last one is its newest; its time is unknown where it is -1.
        last = {entry.record.topic: entry.record.timestamp for entry in prepared.entries}
        self._newest |= {topic: at / 1000 for topic, at in last.items() if at >= 0}

    def _confirm(self) -> None:
        """Hear of acknowledgements, and wait for them only when Kafka must catch up; commit when it is time."""
        self._lap_started = time.perf_counter()
        # Events that come meanwhile are not kept waiting for outputs of those before them.
        while not self._delivery.acknowledged(CONFIRM_SLICE if self._delivery.full else 0):
            if self._stopping or not self._delivery.full:
                break
            self.pulse.turn(self._waiting_for() or "acknowledgements")
            self._report()
            self._source.poll_group()
        self._lap("acknowledge")
        due = time.monotonic() - self._last_commit >= self._settings.batch.commit_interval_ms / 1000
        if due and self._delivery.committable and self._source.health.connected:
            self._last_commit = time.monotonic()
            self._delivery.commit()
            self._lap("commit")

    def _resume(self, partitions: Collection[Partition]) -> dict[Partition, int] | None:
        self._conclude()
        return self._delivery.resume(partitions, CONFIRM_SLICE)

    def _folded(self, partition: Partition) -> int:
        history = self._stream(partition[0]).history
        return history.folded.get(partition, 0) if history else 0

    def _reading(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            self._stream(partition[0]).order.add(partition)
        log.info("reading %d partitions anew, scoring %d", len(partitions), len(self._source.owned))

    def _leaving(self, partitions: Collection[Partition]) -> None:
        """Partitions go to another worker: commit what is acknowledged, forget what is not scored."""
        self._conclude()
        self._delivery.leave(LEAVING_SECONDS)
        for partition in partitions:
            stream = self._stream(partition[0])
            if stream.history is None:
                stream.order.drop(partition)

    def _swap(self, bundles: list[Bundle]) -> None:
        """Use new champions from the next batch on."""
        for bundle in bundles:
            stream = self._streams[bundle.event_type.name]
            name, version = bundle.event_type.name, bundle.manifest.version
            self.metrics.use_model(name, version, previous=stream.bundle.manifest.version)
            stream.bundle = bundle
            log.info("champion of %s is now %s", name, version)

    def _look_around(self, pending: Collection[Partition], idle: bool) -> None:
        """What a loop does beside scoring: say how it is, bound its buffers, collect garbage."""
        self.pulse.turn(self._waiting_for())
        for stream in self._streams.values():
            stream.bound(self._source, pending, BUFFERED_BATCHES * self._policy.max_events)
        now = time.monotonic()
        if now - self._last_lag >= LAG_SECONDS:
            self._last_lag = now
            self._report()
        if now - self._last_collect >= (LAG_SECONDS if idle else COLLECT_SECONDS):
            self._last_collect = now
            gc.collect()

    def _report(self) -> None:
        self._recall.look()
        self.metrics.orders({name: stream.order for name, stream in self._streams.items()})
        self.metrics.lags(self._source.lag(), self._newest, time.time())
        self.metrics.partitions.set(len(self._source.owned))
        self.metrics.rebalances.inc(self._source.rebalances - self._rebalances)
        self._rebalances = self._source.rebalances
        self.metrics.connected.set(self._source.health.connected)

    def _waiting_for(self) -> str | None:
        return self._source.waiting_for or self._recall.waiting_for

    def _drain(self) -> None:
        """Let Kafka acknowledge what was handed over, commit it, and no more."""
        log.info("stopping: waiting for acknowledgements")
        self._conclude()
        while not self._delivery.acknowledged(CONFIRM_SLICE):
            if self._out_of_time():
                raise DrainTimeout(
                    f"outputs were not acknowledged within {self._settings.drain_seconds:g} s; "
                    "their events are not committed and will be scored again"
                )
        self._delivery.commit(wait=True)

    def _out_of_time(self) -> bool:
        return self._stopping and time.monotonic() > self._stop_at

    def _no_room(self) -> bool:
        """Say that the loop waits for room among the outputs; whether it should wait no longer."""
        self.pulse.turn("Kafka to take outputs")
        self.metrics.connected.set(self._source.health.connected)
        return self._out_of_time()

    def _lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.metrics.stage.observe(stage, np.array([now - self._lap_started]))
        self._lap_started = now
