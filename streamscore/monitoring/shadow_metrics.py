"""The metrics of challengers in shadow."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class ShadowMetrics:
    """Which challenger is in shadow, and what became of the events that it was offered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_type = ["event_type"]
        self.events = Counter(
            "streamscore_shadow_events",
            "Events offered to the challenger: scored, skipped while it was behind, or failed when it raised an error",
            ["event_type", "what"],
            registry=registry,
        )
        self.lost = Counter("streamscore_shadow_lost", "Risks of challengers that Kafka refused", registry=registry)
        self.refused = Counter(
            "streamscore_shadow_load_failures", "Bundles of challengers that were refused", by_type, registry=registry
        )
        self._model = Gauge(
            "streamscore_shadow_model_info",
            "1 for the challenger in shadow",
            ["event_type", "version"],
            registry=registry,
        )

    def use(self, event_type: str, version: str | None, previous: str | None) -> None:
        """Say which challenger is in shadow now, None when there is none."""
        if previous:
            self._model.remove(event_type, previous)
        # Born at 0: a counter that appears with its first failure hides it from increase().
        for what in ("scored", "skipped", "failed"):
            self.events.labels(event_type, what)
        self.refused.labels(event_type)
        if version:
            self._model.labels(event_type, version).set(1)
