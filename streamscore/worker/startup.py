"""From settings to the parts of a worker: topics, champions, source, sinks, and what runs beside the loop."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from streamscore.core.events.decode import Limits
from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.batch import BatchPolicy
from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.warm_up import warm_up
from streamscore.kafka.sink import KafkaSink
from streamscore.kafka.source import KafkaSource
from streamscore.models.alias_watch import AliasWatch, Handlers
from streamscore.models.load import first_champion
from streamscore.models.store import ModelStore
from streamscore.monitoring.metrics import Metrics
from streamscore.monitoring.probe import Heartbeat
from streamscore.registry import find_event_type
from streamscore.settings.pseudonyms import pseudonyms
from streamscore.settings.schema import Settings
from streamscore.worker.bundles import Challengers, NewChampions
from streamscore.worker.catch_up import CatchUp
from streamscore.worker.delivery import Delivery
from streamscore.worker.loop import Parts
from streamscore.worker.plain_source import PlainSource
from streamscore.worker.protocols import GroupSource, Sink, Source
from streamscore.worker.shadow import Offer, Shadow, no_shadow
from streamscore.worker.sinks import Sinks
from streamscore.worker.stopping import Stopping
from streamscore.worker.stream import Stream, Topics

log = logging.getLogger("streamscore.worker")


class Shared(NamedTuple):
    """What the parts of a worker share: what it says of itself, whether it should stop, and its clock."""

    metrics: Metrics
    heartbeat: Heartbeat
    stopping: Stopping
    clock: Callable[[], datetime]


class Ends(NamedTuple):
    """A source and sinks of one's own; without a source Kafka is both."""

    source: Source | None
    sinks: Sequence[Sink]


@contextmanager
def parts(settings: Settings, stores: Mapping[str, ModelStore], ends: Ends, shared: Shared) -> Iterator[Parts]:
    """The parts of a worker whose champions are loaded; what runs beside its loop ends with the context."""
    types = event_types(settings)
    by_name = {event_type.name: event_type for event_type in types.values()}
    bundles = {name: first_champion(stores[name], t, settings.models.device) for name, t in by_name.items()}
    for name, bundle in bundles.items():
        log.info("champion of %s is %s on %s", name, bundle.manifest.version, bundle.scorer.device)
        warm_up(bundle.event_type)
    topics = Topics({topic: t.name for topic, t in types.items()}, label_topics(settings, types))
    policy = BatchPolicy(settings.batch.max_events, settings.batch.max_age_ms / 1000)
    limits = Limits(settings.limits.max_event_bytes, settings.limits.max_future_seconds)
    source, sinks = _ends(settings, list(topics.events), ends, shared)
    with (
        _new_champions(settings, stores, bundles, shared.metrics) as champions,
        _offer(settings, stores, bundles, shared.metrics) as offer,
    ):
        yield Parts(
            source=source,
            delivery=Delivery(source, sinks, shared.metrics),
            catch_up=CatchUp(source, settings, shared.metrics, on_kafka=ends.source is None),
            streams={name: Stream(bundle, policy, limits) for name, bundle in bundles.items()},
            topics=topics,
            metrics=shared.metrics,
            heartbeat=shared.heartbeat,
            stopping=shared.stopping,
            champions=champions,
            offer=offer,
            clock=shared.clock,
        )


def _ends(settings: Settings, topics: Sequence[str], ends: Ends, shared: Shared) -> tuple[GroupSource, Sinks]:
    """Where records come from and where outputs go."""
    if ends.source is not None:
        return PlainSource(ends.source), Sinks(None, ends.sinks)
    source = KafkaSource(settings.kafka, topics)

    def give_up() -> bool:
        """Say that the loop waits for room among the outputs; whether it should wait no longer."""
        shared.heartbeat.turn("Kafka to take outputs")
        shared.metrics.connected.set(source.connected)
        return shared.stopping.out_of_time

    sink = KafkaSink(settings.kafka, settings.outputs, source.health.on_error, give_up)
    return source, Sinks(sink, ends.sinks)


@contextmanager
def _new_champions(
    settings: Settings, stores: Mapping[str, ModelStore], bundles: Mapping[str, Bundle], metrics: Metrics
) -> Iterator[Callable[[], Sequence[Bundle]]]:
    """The function by which a loop takes champions that became ready."""
    ready = NewChampions()
    handlers = Handlers(ready.changed, lambda name: metrics.model_failures.labels(name).inc())
    watch = AliasWatch("champion", stores, handlers, bundles)
    watch.start(_types_of(bundles), settings.models.poll_seconds, settings.models.device)
    try:
        yield ready.take
    finally:
        watch.stop()


@contextmanager
def _offer(
    settings: Settings, stores: Mapping[str, ModelStore], bundles: Mapping[str, Bundle], metrics: Metrics
) -> Iterator[Offer]:
    """The function by which a loop leaves batches that it has published, for challengers."""
    if settings.outputs.shadow is None:
        yield no_shadow
        return
    challengers = Challengers(bundles, metrics)
    watch = AliasWatch("challenger", stores, Handlers(challengers.changed, challengers.refused))
    shadow = Shadow(settings, settings.outputs.shadow, challengers.of, metrics)
    watch.start(_types_of(bundles), settings.models.poll_seconds, settings.models.device)
    try:
        yield shadow.offer
    finally:
        watch.stop()
        shadow.close()


def _types_of(bundles: Mapping[str, Bundle]) -> dict[str, EventType]:
    return {name: bundle.event_type for name, bundle in bundles.items()}


def event_types(settings: Settings) -> dict[str, EventType]:
    """The event type of each input topic; SettingsError when there is a key and its entities can have no pseudonyms."""
    types = {topic: find_event_type(name) for topic, name in settings.inputs.items()}
    pseudonyms(settings, types.values())
    return types


def label_topics(settings: Settings, types: Mapping[str, EventType]) -> dict[str, str]:
    """The name of the event type that each topic of labels judges, of those topics that a worker reads.

    Labels are part of a history: the labels of events without one are the archiver's alone.
    """
    found = {topic: find_event_type(name).name for topic, name in settings.labels.items()}
    scored = {event_type.name for event_type in types.values() if event_type.history}
    for topic, name in found.items():
        if name not in scored:
            log.info("labels of %s are left to the archiver: no input has %s events with a history", topic, name)
    return {topic: name for topic, name in found.items() if name in scored}


def needed_topics(settings: Settings) -> list[str]:
    """Every topic that the worker reads or writes."""
    return [*settings.inputs, *settings.labels, *settings.outputs.topics]
