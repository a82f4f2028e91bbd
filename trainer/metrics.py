"""The Prometheus metrics of a trainer that runs unattended."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class TrainerMetrics:
    """The metrics of `trainer watch`, on a registry of its own."""

    def __init__(self) -> None:
        r = self.registry = CollectorRegistry()
        self.success_at = Gauge(
            "streamscore_training_last_success_seconds",
            "Unix time at which the last successful run started",
            registry=r,
        )
        self.duration = Gauge(
            "streamscore_training_duration_seconds", "Seconds that the last run took, failed runs included", registry=r
        )
        self.running = Gauge("streamscore_training_running", "1 while a run is in progress, else 0", registry=r)
        self.rows = Gauge(
            "streamscore_training_rows",
            "Events of each part in the last successful run, and its positives",
            ["part"],
            registry=r,
        )
        self.figure = Gauge(
            "streamscore_training_figure", "Figures of the last candidate on its test part", ["figure"], registry=r
        )
        self.verdicts = Counter("streamscore_training_verdicts", "Candidates by verdict", ["verdict"], registry=r)
        self.comparisons = Counter(
            "streamscore_training_comparisons",
            "Comparisons of challengers by verdict",
            ["verdict"],
            registry=r,
        )
        self.comparison = Gauge(
            "streamscore_training_comparison",
            "Last comparison: events answered, positives, waiting; difference in average precision with its interval",
            ["figure"],
            registry=r,
        )
        self.failures = Counter("streamscore_training_failures", "Runs and comparisons that failed", registry=r)
        self.drift = Gauge(
            "streamscore_training_drift",
            "PSI of a feature since the newest bundle, in shares of its threshold: above 1 it drifted",
            ["feature"],
            registry=r,
        )
        self.drift_looks = Counter(
            "streamscore_training_drift_looks", "Searches for drift by outcome", ["found"], registry=r
        )
        self._start_at_zero()

    def _start_at_zero(self) -> None:
        """Create each label now: increase() does not see the first event of a counter that appears with it."""
        for verdict in ("promote", "shadow", "reject"):
            self.verdicts.labels(verdict)
            self.comparisons.labels(verdict)
        for found in ("drift", "none", "failed"):
            self.drift_looks.labels(found)
