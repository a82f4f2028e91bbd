"""Values by bin in a worker: the counts of a profile, whatever the batches, told beside what training makes expect."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bins import Binned, Bins, binned, bins_of, counts
from streamscore.core.scoring.bundle import RISK, Bundle
from streamscore.core.scoring.profile import Profile, edges, histogram, psi
from streamscore.monitoring.binned_values import BinnedValues
from streamscore.monitoring.metrics import Metrics
from tests.support.samples import StubScorer, bundle, by_amount, entries_of, payment, process

VALUES = st.lists(st.sampled_from([0.0, 0.1, 1.0, 7.0, np.nan]) | st.floats(-5, 5, width=32), min_size=1, max_size=40)


@settings(deadline=None, max_examples=60)
@given(VALUES, VALUES)
def test_counts_are_those_of_the_profile(training: list[float], batch: list[float]) -> None:
    """Each column, of any values and of edges one float apart, is counted as the profile itself counts it."""
    before, now = np.array(training, np.float32), np.array(batch, np.float32)
    profiles = {"a": histogram(before, edges(before)), "b": Profile((0.0,), (1, 1, 1)), RISK: Profile((), (3, 0))}
    matrix = np.stack([now[::-1], now], axis=1)
    found = counts(binned(bins_of("v1", profiles, {"a": 1, "b": 0}), matrix, now))
    assert found["a"] == histogram(now, profiles["a"].edges).counts
    assert found["b"] == histogram(now, (0.0,)).counts
    assert found[RISK] == histogram(now, ()).counts


def told(values: BinnedValues) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(values)
    return registry


def sample(registry: CollectorRegistry, name: str, version: str, bin_: str, feature: str = RISK) -> float | None:
    labels = {"event_type": "t", "version": version, "feature": feature, "bin": bin_}
    return registry.get_sample_value(f"streamscore_feature_{name}", labels)


def of(bins: Bins, *risks: float) -> Binned:
    return binned(bins, np.zeros((len(risks), 0), np.float32), np.array(risks, np.float32))


def test_batches_add_up_and_end_with_their_model() -> None:
    """Counts grow over batches; those of a new champion begin anew, and its bins are its own."""
    first, second = (bins_of(v, {RISK: Profile((0.5,), (2, 7, 0))}, {}) for v in ("v1", "v2"))
    values = BinnedValues()
    values.add("t", of(first, 0.1, 0.6))
    values.add("t", of(first, 0.7))
    registry = told(values)
    assert [sample(registry, "values_total", "v1", b) for b in ("0", "1", "missing")] == [1, 2, 0]
    assert sample(registry, "expected", "v1", "1") == pytest.approx(7.5 / 10.5)
    values.add("t", of(second, 0.1))
    assert sample(registry, "values_total", "v1", "0") is None
    assert [sample(registry, "values_total", "v2", b) for b in ("0", "1")] == [1, 0]


def test_the_index_of_what_is_told_is_that_of_the_profiles() -> None:
    """The sum that the rules ask of Prometheus is the stability index."""
    draw = np.random.default_rng(3)
    before, now = draw.random(5000), (draw.random(20_000) ** 1.5).astype(np.float32)
    profile = histogram(before, edges(before))
    values = BinnedValues()
    values.add("t", of(bins_of("v1", {RISK: profile}, {}), *now))
    registry, names = told(values), [str(n) for n in range(len(profile.edges) + 1)]
    found = np.array([sample(registry, "values_total", "v1", name) for name in names]) / len(now)
    expected = np.array([sample(registry, "expected", "v1", name) for name in names])
    index = ((found - expected) * np.log(found / expected)).sum()
    assert index == pytest.approx(psi(profile, histogram(now, profile.edges)), abs=2e-3)
    assert index > 0.05


def model() -> Bundle:
    """A bundle that tells how its amounts, its nights and its risks lay."""
    usual = Profile((20.0,), (5, 5, 0))
    stub = bundle(TRANSACTION, StubScorer(by_amount))
    profiles = {"amount": usual, "night": usual}
    manifest = stub.manifest.model_copy(update={"profiles": profiles, "risks": Profile((0.5,), (9, 1, 0))})
    return Bundle(manifest, stub.event_type, stub.features, stub.scorer)


def test_a_worker_counts_what_it_scored() -> None:
    """Of a batch with a bad record, the features and risks of its events are counted, not what is made of the time."""
    metrics, values = Metrics(), [payment(amount=10), b"{", payment(amount=600), payment(amount=30)]
    outcome = process(entries_of(TRANSACTION, values), model())
    metrics.batch("t", TRANSACTION.decisions, outcome)
    found = [sample(metrics.registry, "values_total", "stub-1", b, "amount") for b in ("0", "1", "missing")]
    assert found == [1, 2, 0]
    assert [sample(metrics.registry, "values_total", "stub-1", b) for b in ("0", "1")] == [2, 1]
    assert sample(metrics.registry, "values_total", "stub-1", "0", "night") is None


def test_a_model_without_profiles_counts_nothing() -> None:
    """It is scored with as before."""
    stub = bundle(TRANSACTION, StubScorer(by_amount))
    assert process(entries_of(TRANSACTION, [payment()]), stub).binned is None
