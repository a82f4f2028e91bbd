"""The challenger's place: one that waits for its answers keeps it, one that can never be compared does not."""

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamscore.core.events.transaction import TRANSACTION
from streamscore.models.bundle_files import GOLDEN, NETWORK, SCALER
from streamscore.models.store import ModelStore
from tests.support.compared import NOW, SETTINGS, WORLD, compared_folder, compared_store, write_shadow
from trainer import watch as watching
from trainer.cli.main import cli
from trainer.metrics import TrainerMetrics
from trainer.promotion.placement import place
from trainer.promotion.shadow_comparison import compared, waits
from trainer.settings import GateSettings, TrainingSettings
from trainer.watch import Watch, challenged

__all__ = ["compared_folder", "compared_store"]

JUDGED = {
    "judgement": {"verdict": "shadow", "reasons": [], "champion": "v1"},
    "test": {"auc": 0.9, "average_precision": 0.3, "ece": 0.01},
    "baselines": {},
}


@pytest.fixture
def what(folder: Path, store: ModelStore) -> Watch:
    return Watch(str(folder), TRANSACTION, store, SETTINGS, timedelta(days=7))


@pytest.mark.parametrize("spoilt", ["v2/model.keras", "v2/manifest.json", "v1/manifest.json"])
def test_who_cannot_be_read_holds_no_place(what: Watch, folder: Path, tmp_path: Path, spoilt: str) -> None:
    """It can never be compared: the next candidate takes its place, and no note says what did not happen."""
    write_shadow(folder, WORLD.blurred(0.1))
    (tmp_path / "models" / "transaction" / spoilt).write_bytes(b"x")
    metrics = TrainerMetrics()
    assert not challenged(what, metrics, NOW)
    assert not waits(what.url, TRANSACTION, what.store, SETTINGS)
    assert metrics.registry.get_sample_value("streamscore_training_failures_total") == 1
    assert (what.store.alias("champion"), what.store.alias("challenger")) == ("v1", "v2")
    assert not (tmp_path / "models" / "transaction" / "comparisons").exists()


def test_a_champion_that_promised_nothing_is_compared(folder: Path, store: ModelStore) -> None:
    """A manifest without its figures stops no comparison."""
    manifest = store.manifest("v1").model_copy(update={"version": "v0", "metrics": {}})
    store.write(manifest, {NETWORK: b"n", SCALER: b"{}", GOLDEN: b"g"})
    store.promote("v0")
    write_shadow(folder, WORLD.blurred(0.1), ("v0", "v2"))
    outcome = compared(str(folder), TRANSACTION, store, SETTINGS)
    assert outcome is not None
    assert outcome.verdict == "promote"


@pytest.mark.parametrize(("needed", "waiting"), [(5000, True), (100, False)])
def test_once_leaves_a_challenger_that_waits(folder: Path, store: ModelStore, needed: int, waiting: bool) -> None:
    """As `watch` does: while it waits for its answers it keeps its place."""
    write_shadow(folder, WORLD.blurred(0.1))
    settings = TrainingSettings(gates=GateSettings(positives=needed))
    assert waits(str(folder), TRANSACTION, store, settings) == waiting
    manifest = store.manifest("v3")
    new = manifest.model_copy(update={"metrics": JUDGED})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.training.train_once", lambda *_: new)
        patch.setattr("trainer.evaluation.evaluate.doubt", lambda *_: None)
        given = ["--archive", folder, "--event-type", "transaction", "--store", folder.parent / "models"]
        arguments = ["once", *map(str, given), "--set", f"gates.positives={needed}"]
        done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert store.alias("challenger") == ("v2" if waiting else "v3")
    assert ("the challenger waits for its answers and keeps its place" in done.output) == waiting
    assert ("it takes the place of the challenger v2, which waits for no answers" in done.output) != waiting


@pytest.mark.parametrize(("waits", "challenger"), [(True, "v2"), (False, "v3")])
def test_a_challenger_that_waits_keeps_its_place(
    what: Watch, waits: bool, challenger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each week's candidate that shows too little would else end the comparison before its answers are in."""
    manifest = what.store.manifest("v3")
    manifest = manifest.model_copy(update={"metrics": {"judgement": {"verdict": "shadow", "reasons": []}}})
    monkeypatch.setattr(watching, "challenged", lambda *_: waits)
    monkeypatch.setattr(watching, "train_once", lambda *_: manifest)
    monkeypatch.setattr(watching, "_record", lambda *_: None)
    assert watching.retrained(what, TrainerMetrics(), NOW) == manifest
    assert what.store.alias("challenger") == challenger


def test_what_learnt_the_same_as_the_champion_is_no_challenger(store: ModelStore) -> None:
    """It would stand beside itself: a run on an archive to which nothing came."""
    champion = store.manifest("v1")
    files = {NETWORK: b"n", SCALER: b"{}", GOLDEN: b"g"}
    told = {"weights": "abc", "judgement": JUDGED["judgement"]}
    store.write(champion.model_copy(update={"version": "v8", "metrics": told}), files)
    store.promote("v8")
    for version, weights, alias in (("v9", "abc", None), ("v10", "abd", "challenger")):
        metrics = {"weights": weights, "judgement": JUDGED["judgement"]}
        made = store.write(champion.model_copy(update={"version": version, "metrics": metrics}), files)
        placed = place(store, made, promote=False)
        assert placed.alias == alias
        assert ("the same as the champion v8" in placed.why) is (alias is None)
