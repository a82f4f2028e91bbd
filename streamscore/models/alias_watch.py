"""The bundle of an alias, loaded beside the loop and replaced while events flow.

A thread looks at an alias of each event type every few seconds. It loads, verifies and warms a new bundle while the
old one scores. A bundle that cannot be trusted is refused, logged and counted, and is not tried again until the
alias names another version.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.bundle import Bundle
from streamscore.models.bundle_files import Alias
from streamscore.models.load import load
from streamscore.models.store import ModelStore

log = logging.getLogger("streamscore.models")

OnChange = Callable[[str, Bundle | None], None]
OnRefused = Callable[[str], None]
Load = Callable[[ModelStore, str, EventType, str], Bundle]


class Handlers(NamedTuple):
    """Who hears of an alias, by event type: of a bundle that is ready, and of one that was refused."""

    changed: OnChange
    refused: OnRefused


class AliasWatch:
    """Follows one alias of several event types on a thread of its own.

    A champion stays in use until the next one is ready. A challenger may be absent: its handler hears None before
    another version is loaded, and when the alias is gone.
    """

    def __init__(
        self,
        alias: Alias,
        stores: Mapping[str, ModelStore],
        handlers: Handlers,
        in_use: Mapping[str, Bundle] = MappingProxyType({}),
        load: Load = load,
    ) -> None:
        """`in_use` is what serves already, by event type; `load` makes a verified bundle of a version."""
        self._alias, self._stores, self._handlers, self._load = alias, stores, handlers, load
        self._optional = alias == "challenger"
        self._seen: dict[str, str | None] = {name: bundle.manifest.version for name, bundle in in_use.items()}
        self._stop = threading.Event()

    def start(self, types: Mapping[str, EventType], every: float, device: str) -> None:
        """Begin to look every so many seconds; for an optional alias, at once too."""

        def watch() -> None:
            wait = 0.0 if self._optional else every
            while not self._stop.wait(wait):
                wait = every
                for event_type in types.values():
                    self.look(event_type, device)

        threading.Thread(target=watch, name=f"{self._alias}s", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def look(self, event_type: EventType, device: str) -> None:
        """Look at the alias of an event type once, and load what it names if that is another version."""
        name = event_type.name
        version = self._seen.get(name)
        try:
            version = self._stores[name].alias(self._alias)
            if version == self._seen.get(name) or (version is None and not self._optional):
                return
            if self._optional:
                self._handlers.changed(name, None)
            if version is not None:
                self._handlers.changed(name, self._load(self._stores[name], version, event_type, device))
            self._seen[name] = version
        except OSError as error:
            # Nothing is noted as seen: the next look tries again.
            log.warning("model store not reachable: %s", str(error) or type(error).__name__)
        except Exception as error:  # whatever a foreign file caused, what is in use scores on
            refused = (
                f"{self._alias} of {name} refused"
                if self._optional
                else f"new champion of {name} refused, the old one stays"
            )
            log.error("%s: %s: %s", refused, type(error).__name__, error)
            self._handlers.refused(name)
            self._seen[name] = version  # one try per version: a refused bundle is not tried every few seconds
