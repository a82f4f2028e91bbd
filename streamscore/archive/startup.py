"""From settings to a running archiver: probes first, then the broker, then the tables."""

import logging
from datetime import UTC, datetime

from streamscore.archive.archiver import Archiver, Parts
from streamscore.archive.metrics import ArchiveMetrics
from streamscore.archive.routes import routes
from streamscore.core.events.record import Record
from streamscore.kafka.source import KafkaSource
from streamscore.kafka.topics import await_topics
from streamscore.monitoring import probe
from streamscore.monitoring.probe import Heartbeat
from streamscore.process import Signals
from streamscore.settings.schema import Settings

log = logging.getLogger("streamscore.archiver")


def run_archiver(settings: Settings, accept_gaps: bool) -> None:
    """Archive until stopped. Raises what `errors.py` lists when it cannot start or go on."""
    signals, metrics, heartbeat = Signals(), ArchiveMetrics(), Heartbeat()
    metrics.ready.set_function(lambda: float(heartbeat.problem() is None))
    server = probe.serve(settings.http, metrics.registry, heartbeat)
    log.info("metrics and probes on http://%s:%d", settings.http.host, server.server_address[1])
    found = routes(settings)
    for topic, route in found.items():  # what reads records is compiled before the first one
        route.rows([Record(topic, 0, 0, -1, None, b"{}", None)], datetime.now(UTC))
    heartbeat.turn("a broker")
    await_topics(settings.kafka, list(found), signals.asked, heartbeat)
    if signals.asked.is_set():
        return
    kafka = settings.kafka.model_copy(update={"group": settings.archive.group})
    source = KafkaSource(kafka, list(found))
    archiver = Archiver(settings, Parts(found, source, metrics, heartbeat, accept_gaps))
    signals.running = archiver
    if not signals.asked.is_set():
        archiver.run()
    server.shutdown()
    server.server_close()
