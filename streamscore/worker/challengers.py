"""The challengers in shadow: loaded, verified and warmed beside the loop, as champions are.

Where an alias goes, or that it is gone, is followed. A challenger that cannot be trusted is refused, said and
counted; then there is none.
"""

import logging
import threading
from collections.abc import Mapping

from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.bundle import Bundle
from streamscore.models.load import load
from streamscore.models.store import ModelStore
from streamscore.monitoring.metrics import Metrics

log = logging.getLogger("streamscore.models")


class ChallengerWatch:
    """Looks at the challenger of each event type on a thread; `of` gives the one that scores now."""

    def __init__(self, stores: Mapping[str, ModelStore], types: Mapping[str, EventType], metrics: Metrics) -> None:
        self._stores, self._types, self._metrics = stores, types, metrics
        self._seen: dict[str, str | None] = {}
        self._ready: dict[str, Bundle] = {}
        self._stop = threading.Event()
        for name in types:
            metrics.use_challenger(name, None, None)

    def start(self, every: float, device: str) -> None:
        """Begin to look, at once and then `every` seconds."""

        def watch() -> None:
            while True:
                for name in self._stores:
                    self._look(name, device)
                if self._stop.wait(every):
                    return

        threading.Thread(target=watch, name="challengers", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def of(self, name: str) -> Bundle | None:
        """The challenger of an event type; None when there is none, or it is not loaded yet."""
        return self._ready.get(name)

    def _look(self, name: str, device: str) -> None:
        version = self._seen.get(name)
        try:
            version = self._stores[name].alias("challenger")
            if version == self._seen.get(name):
                return
            self._use(name, None)
            if version is not None:
                self._use(name, load(self._stores[name], version, self._types[name], device))
            self._seen[name] = version
        except OSError as error:
            log.warning("model store not reachable: %s", str(error) or type(error).__name__)
        except Exception as error:  # whatever a foreign file caused, the champion scores on
            log.error("challenger of %s refused: %s: %s", name, type(error).__name__, error)
            self._metrics.shadow_refused.labels(name).inc()
            self._seen[name] = version  # one try, as with champions

    def _use(self, name: str, bundle: Bundle | None) -> None:
        before = self._ready.pop(name, None)
        if before is None and bundle is None:
            return
        if bundle is not None:
            self._ready[name] = bundle
        version = bundle.manifest.version if bundle else None
        self._metrics.use_challenger(name, version, before.manifest.version if before else None)
        log.info("challenger of %s is now %s", name, version or "none")
