"""The worker, whole: HTTP for probes, a broker and its topics, the champions, then the loop until it is stopped."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from streamscore.kafka.topics import await_topics
from streamscore.models.store import ModelStore
from streamscore.monitoring import probe
from streamscore.monitoring.metrics import Metrics
from streamscore.monitoring.probe import Heartbeat
from streamscore.process import Signals
from streamscore.settings.schema import Settings
from streamscore.worker.loop import ScoringLoop
from streamscore.worker.protocols import Sink, Source
from streamscore.worker.startup import Ends, Shared, event_types, needed_topics, parts
from streamscore.worker.stopping import Stopping

log = logging.getLogger("streamscore.worker")


def utc_now() -> datetime:
    """The time of the system's clock."""
    return datetime.now(UTC)


class Worker:
    """Scores events until it is stopped.

    Without a `source` it reads from Kafka and publishes to Kafka, as the settings say; `sinks` get every batch too.
    With a source of one's own it needs no Kafka, and publishes to `sinks` only. Offsets are committed to the source
    after every sink has flushed. `store` replaces the model store of the settings: a store for each event type, by its
    name. `clock` gives the time of scoring, in UTC. ValueError for a source of one's own without a sink.

    Example:
        >>> from streamscore import Settings, Worker
        >>> worker = Worker(Settings(inputs={"payments": "transaction"}))  # nothing is connected or loaded yet
    """

    def __init__(
        self,
        settings: Settings,
        *,
        source: Source | None = None,
        sinks: Sequence[Sink] = (),
        store: Mapping[str, ModelStore] | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        if source is not None and not sinks:
            raise ValueError("a worker on a source of its own needs a sink: its outputs would be lost, and committed")
        self._settings, self._ends, self._stores = settings, Ends(source, sinks), store
        self._asked = threading.Event()
        self._metrics = Metrics()
        self._shared = Shared(self._metrics, Heartbeat(), Stopping(settings.drain_seconds), clock)

    @property
    def metrics(self) -> Metrics:
        """The metrics of this worker, on a registry of its own."""
        return self._metrics

    def stop(self) -> None:
        """Ask the loop to drain and leave the group. Safe from a signal handler and from another thread."""
        self._asked.set()
        self._shared.stopping.ask()

    def run(self) -> None:
        """Score until `stop` is called and all is committed.

        StreamScoreError says why the worker cannot start or go on; nothing is lost then.
        """
        settings, heartbeat = self._settings, self._shared.heartbeat
        self._metrics.ready.set_function(lambda: float(heartbeat.problem() is None))
        server = probe.serve(settings.http, self._metrics.registry, heartbeat)
        log.info("metrics and probes on http://%s:%d", settings.http.host, server.server_address[1])
        try:
            types = event_types(settings)
            if self._ends.source is None:
                heartbeat.turn("a broker")
                await_topics(settings.kafka, needed_topics(settings), self._asked, heartbeat)
            if self._asked.is_set():
                return
            heartbeat.turn("models")
            names = {event_type.name for event_type in types.values()}
            stores = self._stores or {name: ModelStore(settings.models.store, name) for name in names}
            with parts(settings, stores, self._ends, self._shared) as made:
                if not self._asked.is_set():
                    ScoringLoop(settings, made).run()
        finally:
            server.shutdown()
            server.server_close()


def run_worker(settings: Settings) -> None:
    """Score until SIGTERM or SIGINT. Raises what `errors.py` lists when it cannot start or go on."""
    signals = Signals()
    worker = Worker(settings)
    signals.running = worker
    if not signals.asked.is_set():
        worker.run()
