"""Every metric of the archiver, with its help and unit. Counted once a batch or a roll, never once a record."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, PlatformCollector, ProcessCollector

from streamscore.core.events.record import Partition


class ArchiveMetrics:
    """The archiver's metrics, on a registry of its own."""

    def __init__(self) -> None:
        r = self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=r)
        self._lagging: set[Partition] = set()
        self.read = Counter("streamscore_archive_records", "Records read to be archived", ["topic"], registry=r)
        self.rows = Counter("streamscore_archive_rows", "Rows written", ["table"], registry=r)
        self.waiting = Gauge("streamscore_archive_waiting_rows", "Rows that are read and not yet written", registry=r)
        self.written_at = Gauge(
            "streamscore_archive_last_write_seconds",
            "Unix time at which rows of a topic were last written",
            ["topic"],
            registry=r,
        )
        self.failures = Counter(
            "streamscore_archive_write_failures",
            "Writes that failed, whose records are read again: overtaken by another archiver, or storage unreachable",
            ["reason"],
            registry=r,
        )
        self._lag = Gauge(
            "streamscore_archive_lag_messages", "Messages not yet archived", ["topic", "partition"], registry=r
        )
        self.partitions = Gauge("streamscore_archive_partitions", "Partitions this archiver writes", registry=r)
        self.ready = Gauge("streamscore_archive_ready", "1 while the archiver can write, as /readyz says", registry=r)
        self.connected = Gauge("streamscore_archive_broker_connected", "1 while a broker answers", registry=r)
        for reason in ("overtaken", "unreachable"):
            self.failures.labels(reason)  # born at 0, so that the first one is an increase

    def lags(self, lags: Mapping[Partition, int]) -> None:
        """Set how many messages of each partition are not archived; partitions of others are no longer shown."""
        for (topic, partition), count in lags.items():
            self._lag.labels(topic, partition).set(count)
        for topic, partition in self._lagging - lags.keys():
            self._lag.remove(topic, str(partition))
        self._lagging = set(lags)
