"""The champions in use: loaded before the first event, replaced between two batches.

A thread looks at each alias every few seconds; it loads, verifies and warms a new champion while
the old one scores. A bundle that cannot be trusted is refused, said and counted, and the old one stays.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping

from streamscore.core.scoring.bundle import Bundle
from streamscore.models.load import load
from streamscore.models.store import ModelStore

log = logging.getLogger("streamscore.models")

OnRefused = Callable[[str], None]


class ChampionWatch:
    """Looks for new champions on a thread; `take` hands them to the loop."""

    def __init__(self, stores: Mapping[str, ModelStore], bundles: Mapping[str, Bundle], on_refused: OnRefused) -> None:
        self._stores, self._on_refused = stores, on_refused
        self._types = {name: bundle.event_type for name, bundle in bundles.items()}
        self._seen = {name: bundle.manifest.version for name, bundle in bundles.items()}
        self._ready: queue.SimpleQueue[Bundle] = queue.SimpleQueue()
        self._stop = threading.Event()

    def start(self, every: float, device: str) -> None:
        """Begin to look, `every` seconds."""

        def watch() -> None:
            while not self._stop.wait(every):
                for name in self._stores:
                    self._look(name, device)

        threading.Thread(target=watch, name="champions", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def take(self) -> list[Bundle]:
        """The champions that became ready since the last call."""
        return [self._ready.get() for _ in range(self._ready.qsize())]

    def _look(self, name: str, device: str) -> None:
        try:
            version = self._stores[name].alias("champion")
            if version is None or version == self._seen[name]:
                return
            self._seen[name] = version  # one try a promotion: a refused bundle is not tried every few seconds
            self._ready.put(load(self._stores[name], version, self._types[name], device))
        except OSError as error:
            log.warning("model store not reachable: %s", str(error) or type(error).__name__)
            self._seen[name] = ""
        except Exception as error:  # whatever a foreign file caused, the old champion scores on
            log.error("new champion of %s refused, the old one stays: %s: %s", name, type(error).__name__, error)
            self._on_refused(name)
