"""Challengers: the alias is followed wherever it goes, and one that cannot be trusted is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Bundle
from streamscore.errors import StoreUnreachable
from streamscore.models.alias_watch import AliasWatch, Handlers
from streamscore.models.bundle_files import GOLDEN, NETWORK, SCALER
from streamscore.models.store import ModelStore
from streamscore.monitoring.metrics import Metrics
from streamscore.worker.bundles import Challengers
from tests.support.samples import StubScorer, bundle, by_amount

STUB = bundle(TRANSACTION, StubScorer(by_amount))
FILES = {NETWORK: b"network", SCALER: b"{}", GOLDEN: b"golden"}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(str(tmp_path), "transaction")


def stubbed(store: ModelStore, version: str, *_: object) -> Bundle:
    """A verified bundle that a stub scores: that networks load is tested with champions."""
    return replace(STUB, manifest=store.read(version).manifest)


class Watched:
    """Challengers, and a watch of their alias whose way to load may be replaced."""

    def __init__(self, store: ModelStore, metrics: Metrics) -> None:
        self.load: Callable[..., Bundle] = stubbed
        self.challengers = Challengers(["transaction"], metrics)
        handlers = Handlers(self.challengers.changed, self.challengers.refused)
        self._watch = AliasWatch("challenger", {"transaction": store}, handlers, load=self._load)

    def _load(self, *asked: Any) -> Bundle:
        return self.load(*asked)

    def look(self) -> Bundle | None:
        self._watch.look(TRANSACTION, "cpu")
        return self.challengers.of("transaction")


def challenge(store: ModelStore, version: str) -> str:
    store.write(STUB.manifest.model_copy(update={"version": version}), FILES)
    store.point("challenger", version)
    return version


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def watch(store: ModelStore, metrics: Metrics) -> Watched:
    return Watched(store, metrics)


def looked(watch: Watched) -> str | None:
    """The challenger in use after a look."""
    found = watch.look()
    return found.manifest.version if found else None


def shown(metrics: Metrics) -> list[str]:
    """The challengers that the metric shows."""
    families = [family for family in metrics.registry.collect() if family.name == "streamscore_shadow_model_info"]
    return [sample.labels["version"] for sample in families[0].samples]


def refused(metrics: Metrics) -> float | None:
    name = "streamscore_shadow_load_failures_total"
    return metrics.registry.get_sample_value(name, {"event_type": "transaction"})


def test_the_alias_is_followed(watch: Watched, store: ModelStore, tmp_path: Path, metrics: Metrics) -> None:
    """It appears, changes, is withdrawn, comes back and is promoted: in use is what it points to, and shown."""
    assert looked(watch) is None
    assert looked(watch) is None
    first, second = challenge(store, "c-1"), challenge(store, "c-2")
    store.point("challenger", first)
    assert looked(watch) == first
    assert looked(watch) == first
    store.point("challenger", second)
    assert looked(watch) == second
    assert shown(metrics) == [second]
    (tmp_path / "transaction" / "aliases" / "challenger").unlink()
    assert looked(watch) is None
    store.point("challenger", first)
    assert looked(watch) == first
    store.promote(first)
    assert looked(watch) is None
    assert shown(metrics) == []
    assert refused(metrics) == 0


def test_a_damaged_challenger_is_none(
    watch: Watched, store: ModelStore, tmp_path: Path, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes the place of the one before, is said and counted once, and scores nothing."""
    challenge(store, "c-1")
    assert looked(watch) == "c-1"
    challenge(store, "c-2")
    (tmp_path / "transaction" / "c-2" / NETWORK).write_bytes(b"evil")
    for _ in range(3):
        assert looked(watch) is None
    assert refused(metrics) == 1
    assert "challenger of transaction refused: BundleError: c-2: model.keras" in caplog.text


def test_a_store_that_does_not_answer_changes_nothing(
    watch: Watched, store: ModelStore, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The challenger in use stays, and is not loaded anew when the store is back."""
    version = challenge(store, "c-1")
    assert looked(watch) == version
    before = watch.challengers.of("transaction")

    def gone(*_: object) -> Any:
        raise StoreUnreachable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(ModelStore, "alias", gone)
        assert looked(watch) == version
    assert looked(watch) == version
    assert watch.challengers.of("transaction") is before
    challenge(store, "c-2")
    watch.load = gone
    assert looked(watch) is None
    watch.load = stubbed
    assert looked(watch) == "c-2"
    assert refused(metrics) == 0
