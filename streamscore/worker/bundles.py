"""The bundles that a worker serves: new champions on their way to the loop, and the challengers in shadow."""

import logging
import queue
from collections.abc import Iterable

from streamscore.core.scoring.bundle import Bundle
from streamscore.monitoring.metrics import Metrics

log = logging.getLogger("streamscore.models")


class NewChampions:
    """Champions that became ready on a thread; the loop takes them between two batches."""

    def __init__(self) -> None:
        self._ready: queue.SimpleQueue[Bundle] = queue.SimpleQueue()

    def changed(self, _name: str, bundle: Bundle | None) -> None:
        """A champion is ready. One that is gone is no news: what is in use stays."""
        if bundle is not None:
            self._ready.put(bundle)

    def take(self) -> list[Bundle]:
        """The champions that became ready since the last call."""
        return [self._ready.get() for _ in range(self._ready.qsize())]


class Challengers:
    """The challenger of each event type, and the metric that shows it."""

    def __init__(self, names: Iterable[str], metrics: Metrics) -> None:
        self._metrics = metrics
        self._in_use: dict[str, Bundle] = {}
        for name in names:
            metrics.shadow.use(name, None, None)

    def of(self, name: str) -> Bundle | None:
        """The challenger of an event type; None when there is none, or it is not loaded yet."""
        return self._in_use.get(name)

    def changed(self, name: str, bundle: Bundle | None) -> None:
        """Another challenger, or none, from now on."""
        before = self._in_use.pop(name, None)
        if before is None and bundle is None:
            return
        if bundle is not None:
            self._in_use[name] = bundle
        version = bundle.manifest.version if bundle else None
        self._metrics.shadow.use(name, version, before.manifest.version if before else None)
        log.info("challenger of %s is now %s", name, version or "none")

    def refused(self, name: str) -> None:
        """Count a challenger that cannot be trusted."""
        self._metrics.shadow.refused.labels(name).inc()
