"""What a trainer that runs unattended says of itself to Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class TrainerMetrics:
    """The metrics of `trainer watch`, on a registry of its own."""

    def __init__(self) -> None:
        r = self.registry = CollectorRegistry()
        self.success_at = Gauge(
            "streamscore_training_last_success_seconds", "Time of the last run that ended", registry=r
        )
        self.duration = Gauge("streamscore_training_duration_seconds", "Time that the last run took", registry=r)
        self.running = Gauge("streamscore_training_running", "1 while a run is under way", registry=r)
        self.rows = Gauge("streamscore_training_rows", "Events of the last run", ["part"], registry=r)
        self.figure = Gauge(
            "streamscore_training_figure", "What the last candidate reached on its test part", ["figure"], registry=r
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
            "What the last one found: answered, positives, waiting, and the difference in average precision, low, high",
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
            "streamscore_training_drift_looks", "Looks for drift by what was found", ["found"], registry=r
        )
        # Born at 0: a counter that appears with its first event hides it from increase().
        for verdict in ("promote", "shadow", "reject"):
            self.verdicts.labels(verdict)
            self.comparisons.labels(verdict)
        for found in ("drift", "none", "failed"):
            self.drift_looks.labels(found)
