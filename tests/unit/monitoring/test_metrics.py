"""Metrics: histograms fed with arrays, counts of a batch, and the names that dashboards rely on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.pipeline import Outcome
from streamscore.monitoring.histogram import BatchHistogram
from streamscore.monitoring.metrics import AGE_BUCKETS, Metrics
from tests.support.samples import StubScorer, bundle, by_amount, entries_of, payment, process

NAMES = {
    "streamscore_shadow_events": "counter",
    "streamscore_shadow_load_failures": "counter",
    "streamscore_shadow_lost": "counter",
    "streamscore_shadow_model_info": "gauge",
    "streamscore_alerts": "counter",
    "streamscore_assigned_partitions": "gauge",
    "streamscore_batch_events": "histogram",
    "streamscore_broker_connected": "gauge",
    "streamscore_buffered_events": "gauge",
    "streamscore_commit_failures": "counter",
    "streamscore_consumer_lag_messages": "gauge",
    "streamscore_consumer_lag_seconds": "gauge",
    "streamscore_dead_letters": "counter",
    "streamscore_device_info": "gauge",
    "streamscore_event_age_seconds": "histogram",
    "streamscore_events_consumed": "counter",
    "streamscore_events_scored": "counter",
    "streamscore_feature_expected": "gauge",
    "streamscore_feature_values": "counter",
    "streamscore_ignored_fields": "counter",
    "streamscore_model_info": "gauge",
    "streamscore_model_load_failures": "counter",
    "streamscore_ready": "gauge",
    "streamscore_rebalances": "counter",
    "streamscore_risk": "histogram",
    "streamscore_stage_seconds": "histogram",
    "streamscore_history_bytes": "gauge",
    "streamscore_history_complete_since_seconds": "gauge",
    "streamscore_history_entities": "gauge",
    "streamscore_history_events": "gauge",
    "streamscore_history_left_to_fold": "gauge",
    "streamscore_history_rows": "counter",
    "streamscore_history_snapshot_failures": "counter",
    "streamscore_history_snapshot_seconds": "gauge",
    "streamscore_history_unmatched_labels": "gauge",
    "streamscore_labels_refused": "counter",
    "streamscore_partitions_apart_seconds": "gauge",
    "streamscore_unknown_values": "counter",
}

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def exposed(registry: CollectorRegistry) -> Samples:
    """The registry's own text, parsed: value by name and labels."""
    text = generate_latest(registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return exposed(metrics.registry).get((f"streamscore_{name}", tuple(sorted(labels.items()))))


def is_ours(name: str) -> bool:
    """Whether a family is a metric of ours, and not the time a counter began."""
    return name.startswith("streamscore_") and not name.endswith("_created")


def test_names_and_kinds() -> None:
    """The names and kinds of all metrics, which dashboards and alerts rely on."""
    families = text_string_to_metric_families(generate_latest(Metrics().registry).decode())
    found = {family.name: family.type for family in families if is_ours(family.name)}
    assert found == NAMES


def test_every_metric_has_help() -> None:
    """Each metric says in words what it counts."""
    families = list(text_string_to_metric_families(generate_latest(Metrics().registry).decode()))
    assert all(family.documentation for family in families)


EDGES = (0.5, 1.0, 2.0)
VALUES = st.lists(st.sampled_from([0.0, 0.5, 0.50001, 1.0, 1.5, 2.0, 2.1, 99.0]) | st.floats(0, 5), max_size=20)


@settings(deadline=None, max_examples=60)
@given(st.lists(VALUES, max_size=4))
def test_buckets_are_cumulative_counts(batches: list[list[float]]) -> None:
    """Whatever arrays are observed, each bucket counts the values up to its edge, and the sum is theirs."""
    histogram = BatchHistogram("h", "help", EDGES, "kind")
    registry = CollectorRegistry()
    registry.register(histogram)
    for batch in batches:
        histogram.observe("a", np.array(batch))
    samples, everything = exposed(registry), np.array([value for batch in batches for value in batch])
    if not batches:
        assert samples == {}
        return
    for edge, bound in [*zip(EDGES, ("0.5", "1.0", "2.0"), strict=True), (np.inf, "+Inf")]:
        assert samples[("h_bucket", (("kind", "a"), ("le", bound)))] == np.sum(everything <= edge)
    assert samples[("h_count", (("kind", "a"),))] == len(everything)
    assert samples[("h_sum", (("kind", "a"),))] == pytest.approx(everything.sum())


def test_labels_are_kept_apart() -> None:
    """Values of two labels are counted apart."""
    histogram = BatchHistogram("h", "help", EDGES, "kind")
    registry = CollectorRegistry()
    registry.register(histogram)
    histogram.observe("a", np.array([0.1, 0.2]))
    histogram.observe("b", np.array([9.0]))
    samples = exposed(registry)
    assert samples[("h_count", (("kind", "a"),))] == 2
    assert samples[("h_bucket", (("kind", "b"), ("le", "2.0")))] == 0
    assert samples[("h_count", (("kind", "b"),))] == 1


def test_a_scrape_never_sees_half_a_batch() -> None:
    """What a scrape took hold of does not change under it when the next batch is counted."""
    histogram = BatchHistogram("h", "help", EDGES, "kind")
    histogram.observe("a", np.array([0.1]))
    held = histogram._counts["a"]
    histogram.observe("a", np.array([0.1, 5.0]))
    assert held.tolist() == [1, 0, 0, 0]


def outcome() -> Outcome:
    """Two approved, one reviewed, one declined; three bad records; unknown and ignored fields."""
    values: list[bytes | None] = [payment(amount=amount) for amount in (10, 20, 600)]
    values += [payment(amount=999, currency="JPY", extra=1), b"{", b"{", None]
    return process(entries_of(TRANSACTION, values), bundle(TRANSACTION, StubScorer(by_amount)))


def test_a_batch_is_counted() -> None:
    """Scores by decision, alerts by severity, dead letters by reason, and what was odd about the events."""
    metrics = Metrics()
    for _ in range(2):
        metrics.batch("transaction", TRANSACTION.decisions, outcome())
    of = {"event_type": "transaction"}
    assert value(metrics, "events_scored_total", decision="approve", **of) == 4
    assert value(metrics, "events_scored_total", decision="review", **of) == 2
    assert value(metrics, "events_scored_total", decision="decline", **of) == 2
    assert value(metrics, "alerts_total", severity="medium", **of) == 2
    assert value(metrics, "alerts_total", severity="high", **of) == 2
    assert value(metrics, "dead_letters_total", reason="truncated", **of) == 4
    assert value(metrics, "dead_letters_total", reason="empty", **of) == 2
    assert value(metrics, "unknown_values_total", field="currency", **of) == 2
    assert value(metrics, "ignored_fields_total", **of) == 2
    assert value(metrics, "batch_events_sum", **of) == 14
    assert value(metrics, "batch_events_count", **of) == 2
    assert value(metrics, "risk_count", **of) == 8
    assert value(metrics, "risk_sum", **of) == pytest.approx(2 * (0.01 + 0.02 + 0.6 + 0.999))


def test_lag() -> None:
    """Messages per partition are shown as they are now; seconds only while something waits."""
    metrics = Metrics()
    metrics.lags({("a", 0): 5, ("a", 1): 0, ("b", 0): 0}, {"a": 100.0, "b": 50.0}, now=160.0)
    assert value(metrics, "consumer_lag_messages", topic="a", partition="0") == 5
    assert value(metrics, "consumer_lag_seconds", topic="a") == 60
    assert value(metrics, "consumer_lag_seconds", topic="b") == 0
    metrics.lags({("a", 1): 2}, {"a": 200.0}, now=160.0)
    assert value(metrics, "consumer_lag_messages", topic="a", partition="0") is None
    assert value(metrics, "consumer_lag_seconds", topic="a") == 0


def test_the_model_in_use() -> None:
    """Only the model in use is shown, and taking the same again keeps it."""
    metrics = Metrics()
    metrics.use_model("transaction", "v1", None)
    metrics.use_model("transaction", "v2", "v1")
    assert value(metrics, "model_info", event_type="transaction", version="v1") is None
    assert value(metrics, "model_info", event_type="transaction", version="v2") == 1
    metrics.use_model("transaction", "v2", "v2")
    assert value(metrics, "model_info", event_type="transaction", version="v2") == 1


def test_bounds_are_plain_numbers() -> None:
    """Bucket bounds are written without noise such as 0.15000000000000002, in ascending order."""
    metrics = Metrics()
    metrics.risk.observe("transaction", np.array([0.1]))
    bounds = [dict(labels)["le"] for name, labels in exposed(metrics.registry) if name == "streamscore_risk_bucket"]
    assert bounds[2:5] == ["0.15", "0.2", "0.25"]
    assert bounds[-2:] == ["1.0", "+Inf"]
    assert list(AGE_BUCKETS) == sorted(AGE_BUCKETS)
