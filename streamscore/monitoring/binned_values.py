"""Values and risks by bin, beside what training makes expect: Prometheus computes the stability index of them."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamscore.core.scoring.bins import Binned, counts
from streamscore.core.scoring.profile import Profile

LABELS = ["event_type", "version", "feature", "bin"]


class BinnedValues(Collector):
    """Counts of the newest model of each event type; those of the model before it end with it, as do their bins."""

    def __init__(self) -> None:
        self._counted: dict[str, Binned] = {}

    def add(self, event_type: str, more: Binned) -> None:
        """Count a batch."""
        before = self._counted.get(event_type)
        if before is not None and before.bins.version == more.bins.version:
            # A new array each time: a scrape on another thread sees the old or the new one, never half.
            more = Binned(more.bins, before.found + more.found)
        self._counted[event_type] = more

    def collect(self) -> Iterable[Metric]:
        found = CounterMetricFamily(
            "streamscore_feature_values", "Values of features, and risks, by the bins of training", labels=LABELS
        )
        expected = GaugeMetricFamily(
            "streamscore_feature_expected",
            "Share of a feature's values that fell into a bin at training",
            labels=LABELS,
        )
        for event_type, binned in list(self._counted.items()):
            of = [event_type, binned.bins.version]
            for name, count in counts(binned).items():
                profile = binned.bins.profiles[name]
                shares = _shares(profile)
                for bin_, number, share in zip(_names(profile), count, shares, strict=True):
                    found.add_metric([*of, name, bin_], number)
                    expected.add_metric([*of, name, bin_], share)
        yield found
        yield expected


def _names(profile: Profile) -> list[str]:
    return [*map(str, range(len(profile.edges) + 1)), "missing"]


def _shares(profile: Profile) -> list[float]:
    """As the index takes them: half a row is added to each bin, so that none is empty."""
    whole = profile.rows + 0.5 * len(profile.counts)
    return [(count + 0.5) / whole for count in profile.counts]
