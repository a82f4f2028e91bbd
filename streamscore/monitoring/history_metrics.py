"""The metrics of a worker's history: what it holds, how complete it is, and its snapshots."""

from dataclasses import asdict

from prometheus_client import CollectorRegistry, Counter, Gauge

from streamscore.core.scoring.stream_history import StreamHistory


class HistoryMetrics:
    """Observed about once a second, from the counts that a history keeps itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_type = ["event_type"]
        self._rows = Counter(
            "streamscore_history_rows",
            "What history did with events and labels: folded, too_old, without_room, dropped, late, late_labels …",
            ["event_type", "what"],
            registry=registry,
        )
        self._entities = Gauge(
            "streamscore_history_entities",
            "Entities of which history holds events",
            ["event_type", "entity"],
            registry=registry,
        )
        self._events = Gauge("streamscore_history_events", "Events that history holds", by_type, registry=registry)
        self._unmatched = Gauge(
            "streamscore_history_unmatched_labels",
            "Labels that history holds although their event has not arrived",
            by_type,
            registry=registry,
        )
        self._bytes = Gauge(
            "streamscore_history_bytes", "Bytes of memory that history takes", by_type, registry=registry
        )
        self._complete_since = Gauge(
            "streamscore_history_complete_since_seconds",
            "Unix time from which history is complete, so that no window misses an event; 0 when nothing was deleted",
            by_type,
            registry=registry,
        )
        self.left_to_fold = Gauge(
            "streamscore_history_left_to_fold", "Records of the topics that history has not read yet", registry=registry
        )
        self._counted: dict[tuple[str, str], int] = {}
        self._add_snapshots(registry)

    def _add_snapshots(self, registry: CollectorRegistry) -> None:
        by_type = ["event_type"]
        self._snapshots_failed = Counter(
            "streamscore_history_snapshot_failures", "Snapshots that could not be made", by_type, registry=registry
        )
        self._snapshot_at = Gauge(
            "streamscore_history_snapshot_seconds",
            "Unix time at which the newest complete snapshot was begun, by any worker; 0 before the first",
            by_type,
            registry=registry,
        )

    def observe(self, history: StreamHistory) -> None:
        """Say what a history holds, and count what became of its rows since it was observed last."""
        name, held = history.event_type.name, history.by_entity
        self._events.labels(name).set(held.events)
        self._bytes.labels(name).set(held.nbytes)
        self._unmatched.labels(name).set(held.unmatched_labels)
        self._complete_since.labels(name).set(history.complete_since)
        for entity, count in held.entities.items():
            self._entities.labels(name, "+".join(entity)).set(count)
        for what, count in {**asdict(held.tally), "late": history.late, "late_labels": history.late_labels}.items():
            self._rows.labels(name, what).inc(count - self._counted.get((name, what), 0))
            self._counted[name, what] = count

    def snapshot(self, event_type: str, begun_at: float | None) -> None:
        """Say when the newest snapshot was begun (seconds since 1970), or count one that failed."""
        self._snapshots_failed.labels(event_type).inc(begun_at is None)
        if begun_at is not None:
            self._snapshot_at.labels(event_type).set(begun_at)
