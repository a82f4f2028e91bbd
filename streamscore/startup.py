"""From settings to a running worker: probes first, then the broker, then the champions."""

import logging
import os
import signal
import threading
from collections.abc import Mapping
from types import FrameType

from confluent_kafka import KafkaException

from streamscore import probe
from streamscore.champions import ChampionWatch, first_champion
from streamscore.core.event_type import EventType
from streamscore.core.warm import warm
from streamscore.errors import BrokerError, SettingsError
from streamscore.event_types import find
from streamscore.kafka_clients import admin, partitions_of
from streamscore.metrics import Metrics
from streamscore.probe import Pulse
from streamscore.settings import Settings
from streamscore.store import ModelStore
from streamscore.streams import Topics
from streamscore.worker import Worker

log = logging.getLogger("streamscore.worker")

# One try to reach a broker before the first event; tried again for as long as it takes.
BROKER_SECONDS = 2.0
ABORTED = 130


class Signals:
    """The first SIGTERM or SIGINT asks for a drain, the second ends the process at once."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.worker: Worker | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._received)

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked.is_set():
            os._exit(ABORTED)
        self.asked.set()
        if self.worker:
            self.worker.stop()


def run_worker(settings: Settings) -> None:
    """Score until stopped. Raises what `errors.py` lists when it cannot start or go on."""
    signals, metrics, pulse = Signals(), Metrics(), Pulse()
    metrics.ready.set_function(lambda: float(pulse.problem() is None))
    server = probe.serve(settings.http, metrics.registry, pulse)
    log.info("metrics and probes on http://%s:%d", settings.http.host, server.server_address[1])
    types = event_types(settings)
    pulse.turn("a broker")
    await_topics(settings, signals.asked, pulse)
    if signals.asked.is_set():
        return
    pulse.turn("models")
    stores = {t.name: ModelStore(settings.models.store, t.name) for t in types.values()}
    bundles = {t.name: first_champion(stores[t.name], t, settings.models.device) for t in types.values()}
    for name, bundle in bundles.items():
        log.info("champion of %s is %s on %s", name, bundle.manifest.version, bundle.scorer.device)
    for event_type in {t.name: t for t in types.values()}.values():
        warm(event_type)
    names = {topic: event_type.name for topic, event_type in types.items()}
    signals.worker = Worker(settings, Topics(names, label_topics(settings, types)), bundles, metrics, pulse)
    watch = ChampionWatch(stores, bundles, lambda name: metrics.model_failures.labels(name).inc())
    watch.start(settings.models.poll_seconds, settings.models.device)
    if not signals.asked.is_set():
        signals.worker.run(watch)
    watch.stop()
    server.shutdown()


def event_types(settings: Settings) -> dict[str, EventType]:
    """The event type of each input topic."""
    return {topic: find(name) for topic, name in settings.inputs.items()}


def label_topics(settings: Settings, types: Mapping[str, EventType]) -> dict[str, str]:
    """The name of the event type that each topic of labels judges; SettingsError when no input has that type."""
    found = {topic: find(name).name for topic, name in settings.labels.items()}
    scored = {event_type.name for event_type in types.values() if event_type.history}
    for topic, name in found.items():
        if name not in scored:
            raise SettingsError(
                f"labels.{topic}: no input has {name} events with a history, so nothing is done with them"
            )
    return found


def needed_topics(settings: Settings) -> list[str]:
    """Every topic that the worker reads or writes."""
    outputs = settings.outputs
    return [*settings.inputs, *settings.labels, outputs.scores, outputs.alerts, outputs.dead_letters]


def await_topics(settings: Settings, stop: threading.Event, pulse: Pulse) -> None:
    """Wait for a broker; BrokerError names the topics that it does not have."""
    client = admin(settings.kafka)
    while not stop.is_set():
        try:
            existing = partitions_of(client, BROKER_SECONDS)
        except KafkaException as error:
            pulse.turn("a broker")
            log.warning("no broker answers at %s: %s", settings.kafka.bootstrap, error.args[0].str())
            continue
        missing = [topic for topic in needed_topics(settings) if topic not in existing]
        if missing:
            raise BrokerError(f"topics {', '.join(missing)} do not exist; create them with `streamscore topics create`")
        return
