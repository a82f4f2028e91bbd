"""Every metric, with its help and unit. Observed once a batch, from arrays: never once an event."""

from collections.abc import Mapping, Sequence

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, PlatformCollector, ProcessCollector

from streamscore.core.events.decode import Entry
from streamscore.core.events.order import EventTimeOrder
from streamscore.core.events.record import Partition
from streamscore.core.scoring.pipeline import Outcome
from streamscore.monitoring.binned_values import BinnedValues
from streamscore.monitoring.histogram import BatchHistogram
from streamscore.monitoring.history_metrics import HistoryMetrics
from streamscore.monitoring.shadow_metrics import ShadowMetrics

# Seconds. Edges at 5, 20 and 100 ms: a local round trip, the batch's age, the interval between commits.
AGE_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600, 3600)
STAGE_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2)
SIZE_BUCKETS = tuple(4**power for power in range(8))
RISK_BUCKETS = tuple(round(0.05 * edge, 2) for edge in range(1, 21))


class Metrics:
    """The worker's metrics, on a registry of its own."""

    def __init__(self) -> None:
        r = self.registry = CollectorRegistry()
        self._lagging: set[Partition] = set()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=r)
        self.consumed = Counter("streamscore_events_consumed", "Records read from Kafka", ["topic"], registry=r)
        self.scored = Counter("streamscore_events_scored", "Events scored", ["event_type", "decision"], registry=r)
        self.alerts = Counter("streamscore_alerts", "Alerts published", ["event_type", "severity"], registry=r)
        self.dead_letters = Counter(
            "streamscore_dead_letters", "Records that could not be scored", ["event_type", "reason"], registry=r
        )
        self.unknown_values = Counter(
            "streamscore_unknown_values",
            "Values of open fields that are not declared",
            ["event_type", "field"],
            registry=r,
        )
        self.ignored_fields = Counter(
            "streamscore_ignored_fields", "Fields in events that are not declared", ["event_type"], registry=r
        )
        self.rebalances = Counter("streamscore_rebalances", "Assignments and revocations of partitions", registry=r)
        self.partitions = Gauge("streamscore_assigned_partitions", "Partitions this worker scores", registry=r)
        self.lag_messages = Gauge(
            "streamscore_consumer_lag_messages", "Messages not yet read", ["topic", "partition"], registry=r
        )
        self.lag_seconds = Gauge(
            "streamscore_consumer_lag_seconds",
            "Age of the newest scored event of a topic while more wait to be read; 0 while none waits",
            ["topic"],
            registry=r,
        )
        self.buffered = Gauge("streamscore_buffered_events", "Events that are read and not yet scored", registry=r)
        self.ready = Gauge("streamscore_ready", "1 while the worker can score, as /readyz says", registry=r)
        self.connected = Gauge("streamscore_broker_connected", "1 while a broker answers", registry=r)
        self.commit_failures = Counter(
            "streamscore_commit_failures", "Commits of offsets that Kafka refused", registry=r
        )
        self.history = HistoryMetrics(r)
        self.shadow = ShadowMetrics(r)
        self._add_models()
        self._add_refusals()
        self._add_histograms()

    def _add_models(self) -> None:
        r = self.registry
        self.model = Gauge("streamscore_model_info", "1 for the model in use", ["event_type", "version"], registry=r)
        self.model_failures = Counter(
            "streamscore_model_load_failures", "Bundles that were refused", ["event_type"], registry=r
        )
        self.device = Gauge("streamscore_device_info", "1 for the device the models run on", ["device"], registry=r)

    def _add_refusals(self) -> None:
        r = self.registry
        self.labels_refused = Counter(
            "streamscore_labels_refused", "Labels that could not be used", ["event_type", "reason"], registry=r
        )
        self.spread = Gauge(
            "streamscore_partitions_apart_seconds",
            "Event time between the most and the least advanced partition",
            ["event_type"],
            registry=r,
        )

    def _add_histograms(self) -> None:
        self.age = BatchHistogram(
            "streamscore_event_age_seconds",
            "End-to-end latency: from the record's Kafka timestamp to the acknowledgement of its outputs",
            AGE_BUCKETS,
            "event_type",
        )
        self.stage = BatchHistogram(
            "streamscore_stage_seconds", "Seconds that a batch spends in a stage", STAGE_BUCKETS, "stage"
        )
        self.batch_size = BatchHistogram("streamscore_batch_events", "Events in a batch", SIZE_BUCKETS, "event_type")
        self.risk = BatchHistogram("streamscore_risk", "Calibrated risks of scored events", RISK_BUCKETS, "event_type")
        self.values = BinnedValues()
        for collector in (self.age, self.stage, self.batch_size, self.risk, self.values):
            self.registry.register(collector)

    def orders(self, orders: Mapping[str, EventTimeOrder]) -> None:
        """Say what is read and not yet scored, by event type, and how far its partitions are apart."""
        self.buffered.set(sum(map(len, orders.values())))
        for name, order in orders.items():
            self.spread.labels(name).set(order.apart())

    def labels(self, event_type: str, entries: Sequence[Entry]) -> None:
        """Count labels that are none."""
        for entry in entries:
            if entry.dead_letter is not None:
                self.labels_refused.labels(event_type, entry.dead_letter.reason).inc()

    def batch(self, event_type: str, decisions: Sequence[str], outcome: Outcome) -> None:
        """Count what a batch produced."""
        per_band = np.bincount(outcome.bands, minlength=len(decisions)).tolist()
        for decision, count in zip(decisions, per_band, strict=True):
            self.scored.labels(event_type, decision).inc(count)
        for severity, count in zip(("medium", "high"), per_band[1:], strict=True):
            self.alerts.labels(event_type, severity).inc(count)
        for dead_letter in outcome.refused:
            self.dead_letters.labels(event_type, dead_letter.reason).inc()
        for field, count in outcome.unknown_values.items():
            self.unknown_values.labels(event_type, field).inc(count)
        self.ignored_fields.labels(event_type).inc(outcome.ignored_fields)
        self.batch_size.observe(event_type, np.array([len(outcome.timestamps)]))
        self.risk.observe(event_type, outcome.risks)
        if outcome.binned is not None:
            self.values.add(event_type, outcome.binned)

    def lags(self, lags: Mapping[Partition, int], newest: Mapping[str, float], now: float) -> None:
        """Set what is waiting: messages per partition, and seconds per topic by its newest scored event."""
        for (topic, partition), count in lags.items():
            self.lag_messages.labels(topic, partition).set(count)
        # Only what is gone is removed: a scrape between clearing all and setting again would see no lag.
        for topic, partition in self._lagging - lags.keys():
            self.lag_messages.remove(topic, str(partition))
        self._lagging = set(lags)
        for topic, at in newest.items():
            waiting = any(count for (name, _), count in lags.items() if name == topic)
            self.lag_seconds.labels(topic).set(max(0.0, now - at) if waiting else 0.0)

    def use_model(self, event_type: str, version: str, previous: str | None) -> None:
        """Say which model is in use now; the one before it is no longer shown."""
        if previous:
            self.model.remove(event_type, previous)
        # Born at 0: a counter that appears with its first refusal hides it from increase().
        self.model_failures.labels(event_type)
        self.model.labels(event_type, version).set(1)
