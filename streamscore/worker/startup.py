"""From settings to a running worker: probes first, then the broker, then the champions."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.warm_up import warm_up
from streamscore.kafka.topics import await_topics
from streamscore.models.champions import ChampionWatch
from streamscore.models.load import first_champion
from streamscore.models.store import ModelStore
from streamscore.monitoring import probe
from streamscore.monitoring.metrics import Metrics
from streamscore.monitoring.probe import Heartbeat
from streamscore.process import Signals
from streamscore.registry import find_event_type
from streamscore.settings.pseudonyms import pseudonyms
from streamscore.settings.schema import Settings
from streamscore.worker.challengers import ChallengerWatch
from streamscore.worker.shadow import Offer, Shadow, no_shadow
from streamscore.worker.stream import Topics
from streamscore.worker.worker import Worker

log = logging.getLogger("streamscore.worker")


def run_worker(settings: Settings) -> None:
    """Score until stopped. Raises what `errors.py` lists when it cannot start or go on."""
    signals, metrics, pulse = Signals(), Metrics(), Heartbeat()
    metrics.ready.set_function(lambda: float(pulse.problem() is None))
    server = probe.serve(settings.http, metrics.registry, pulse)
    log.info("metrics and probes on http://%s:%d", settings.http.host, server.server_address[1])
    types = event_types(settings)
    pulse.turn("a broker")
    await_topics(settings.kafka, needed_topics(settings), signals.asked, pulse)
    if signals.asked.is_set():
        return
    pulse.turn("models")
    stores = {t.name: ModelStore(settings.models.store, t.name) for t in types.values()}
    bundles = {t.name: first_champion(stores[t.name], t, settings.models.device) for t in types.values()}
    for name, bundle in bundles.items():
        log.info("champion of %s is %s on %s", name, bundle.manifest.version, bundle.scorer.device)
    for event_type in {t.name: t for t in types.values()}.values():
        warm_up(event_type)
    names = {topic: event_type.name for topic, event_type in types.items()}
    worker = Worker(settings, Topics(names, label_topics(settings, types)), bundles, metrics, pulse)
    signals.running = worker
    watch = ChampionWatch(stores, bundles, lambda name: metrics.model_failures.labels(name).inc())
    watch.start(settings.models.poll_seconds, settings.models.device)
    if not signals.asked.is_set():
        with _offer(settings, stores, bundles, metrics) as offer:
            worker.run(watch, offer)
    watch.stop()
    server.shutdown()


@contextmanager
def _offer(
    settings: Settings, stores: Mapping[str, ModelStore], bundles: Mapping[str, Bundle], metrics: Metrics
) -> Iterator[Offer]:
    """Where a worker's loop leaves the batches that it has published, for challengers."""
    if settings.outputs.shadow is None:
        yield no_shadow
        return
    watch = ChallengerWatch(stores, {name: bundle.event_type for name, bundle in bundles.items()}, metrics)
    shadow = Shadow(settings, settings.outputs.shadow, watch.of, metrics)
    watch.start(settings.models.poll_seconds, settings.models.device)
    try:
        yield shadow.offer
    finally:
        watch.stop()
        shadow.close()


def event_types(settings: Settings) -> dict[str, EventType]:
    """The event type of each input topic; SettingsError when there is a key and its entities can have no pseudonyms."""
    types = {topic: find_event_type(name) for topic, name in settings.inputs.items()}
    pseudonyms(settings, types.values())
    return types


def label_topics(settings: Settings, types: Mapping[str, EventType]) -> dict[str, str]:
    """The name of the event type that each topic of labels judges, of those topics that a worker reads.

    Labels are part of a history: those of events without one are the archiver's alone.
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
