"""Loading a bundle: whatever its digests say, what it holds must be what it claims to be."""

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.scaler import Scaler
from streamscore.errors import BundleError
from streamscore.models.bundle_files import GOLDEN, NETWORK, SCALER, BundleFiles
from streamscore.models.load import load
from streamscore.models.store import ModelStore
from trainer.bundle import golden_bytes


@pytest.fixture
def store(models: Path) -> ModelStore:
    return ModelStore(str(models), "transaction")


@pytest.fixture
def original(store: ModelStore) -> BundleFiles:
    """The trained champion as it lies in the store."""
    return store.read(str(store.alias("champion")))


def refusal(store: ModelStore, original: BundleFiles, files: dict[str, bytes], **changes: Any) -> str:
    """Why a bundle with changed contents, and digests to match, is refused."""
    manifest = original.manifest.model_copy(update=changes | {"version": "changed"})
    store.write(manifest, original.files | files)
    with pytest.raises(BundleError) as caught:
        load(store, "changed", TRANSACTION, "cpu")
    return str(caught.value)


def test_wrong_event_type(store: ModelStore, original: BundleFiles) -> None:
    """A model of transactions does not score applications."""
    with pytest.raises(BundleError, match="scores transaction events, not application"):
        load(store, original.manifest.version, APPLICATION, "cpu")


def test_unknown_feature(store: ModelStore, original: BundleFiles) -> None:
    """A model that needs a feature which the event type does not have is refused by the feature's name."""
    features = (*original.manifest.features[:-1], "gone")
    assert "needs the feature 'gone'" in refusal(store, original, {}, features=features)


def test_scaler_and_manifest_must_agree(store: ModelStore, original: BundleFiles) -> None:
    """A scaler of other features than the manifest's is refused, also when only the order differs."""
    first, second, *rest = original.manifest.features
    assert "name different features" in refusal(store, original, {}, features=(second, first, *rest))


def test_a_scaler_must_be_a_scaler(store: ModelStore, original: BundleFiles) -> None:
    """What is no scaler, or one that does not fit itself, is refused."""
    assert "scaler.json is not a scaler" in refusal(store, original, {SCALER: b"{}"})


def test_the_network_must_fit_the_scaler(store: ModelStore, original: BundleFiles) -> None:
    """A network of another width than the scaler's columns is refused with both shapes."""
    assert "model.keras maps (None, 3) to (None, 1)" in refusal(store, original, {NETWORK: saved(network(3, 1))})


def test_the_network_gives_one_logit(store: ModelStore, original: BundleFiles) -> None:
    """A network of several outputs is refused."""
    width = len(original.scaler.baseline)
    assert f"maps (None, {width}) to (None, 2)" in refusal(store, original, {NETWORK: saved(network(width, 2))})


@pytest.mark.parametrize("content", [b"", b"not a keras file", b"PK\x03\x04 cut off"])
def test_not_a_keras_file(store: ModelStore, original: BundleFiles, content: bytes) -> None:
    """A network file that is none is refused."""
    assert "model.keras cannot be loaded" in refusal(store, original, {NETWORK: content})


def test_a_network_with_code_is_refused(store: ModelStore, original: BundleFiles, tmp_path: Path) -> None:
    """A Lambda layer, which carries Python code, is never loaded; the code does not run."""
    victim = tmp_path / "ran"

    path = str(victim)
    width = len(original.scaler.baseline)
    inputs = keras.Input((width,))
    # Only a real lambda is kept as code in the file; a named function is kept as its name.
    evil = keras.layers.Lambda(lambda x: __import__("pathlib").Path(path).touch() or x)
    model = keras.Model(inputs, keras.layers.Dense(1)(evil(inputs)))
    content = saved(model)
    assert victim.exists(), "the code runs where it may"
    victim.unlink()
    assert "model.keras cannot be loaded" in refusal(store, original, {NETWORK: content})
    assert not victim.exists()


def test_a_network_of_foreign_classes_is_refused(store: ModelStore, original: BundleFiles) -> None:
    """A configuration that names a class outside Keras is not imported."""
    with zipfile.ZipFile(io.BytesIO(original.files[NETWORK])) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    config = json.loads(parts["config.json"])
    config |= {"module": "subprocess", "class_name": "Popen", "config": {"args": ["true"]}}
    parts["config.json"] = json.dumps(config).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)
    assert "model.keras cannot be loaded" in refusal(store, original, {NETWORK: buffer.getvalue()})


@pytest.mark.usefixtures("quick_warming")
def test_golden_risks_that_disagree(store: ModelStore, original: BundleFiles) -> None:
    """A network that gives other risks than it gave at training is refused with the distance."""
    golden = original.golden
    changed = golden_bytes(golden._replace(risks=golden.risks + np.float32(0.01)))
    assert "golden risks differ by 0.01, 2e-05 allowed" in refusal(store, original, {GOLDEN: changed})


@pytest.mark.usefixtures("quick_warming")
def test_golden_features_that_disagree(store: ModelStore, original: BundleFiles) -> None:
    """A feature that is no longer computed as at training is named."""
    golden = original.golden
    golden.matrix[:, 2] += 1
    said = refusal(store, original, {GOLDEN: golden_bytes(golden)})
    assert f"features ['{original.manifest.features[2]}'] no longer give the numbers" in said


def test_a_pickle_is_never_opened(original: BundleFiles, tmp_path: Path) -> None:
    """Golden rows that hold Python objects are refused, and the objects are not made."""
    victim = tmp_path / "ran"
    buffer = io.BytesIO()
    np.savez(buffer, events=np.array([Evil(victim)], object), matrix=np.zeros((1, 1)), risks=np.zeros(1))
    with pytest.raises(BundleError, match=r"golden\.npz cannot be read"):
        _ = BundleFiles(original.manifest, {GOLDEN: buffer.getvalue()}).golden
    assert not victim.exists()


def test_golden_rows_without_risks(original: BundleFiles) -> None:
    """Golden rows that lack an array are refused."""
    buffer = io.BytesIO()
    np.savez(buffer, events=np.array(original.golden.events), matrix=original.golden.matrix)
    with pytest.raises(BundleError, match=r"golden\.npz cannot be read"):
        _ = BundleFiles(original.manifest, {GOLDEN: buffer.getvalue()}).golden


def test_a_bundle_in_memory_loads(original: BundleFiles) -> None:
    """A bundle copied to another kind of store is the same bundle: what loads is the bytes, not the place."""
    store = ModelStore("memory://loaded", "transaction")
    store.write(original.manifest, original.files)
    assert store.read(original.manifest.version).files == original.files


def test_what_is_loaded_is_what_was_trained(champion_of: Callable[[str], Bundle], original: BundleFiles) -> None:
    """A loaded champion has the manifest's features and gives its golden risks."""
    found = champion_of("transaction")
    assert found.features.names == original.manifest.features
    golden = original.golden
    assert len(golden.events) == len(golden.risks) == 32
    assert np.abs(found.scorer.risks(golden.matrix) - golden.risks).max() <= 2e-6
    assert isinstance(original.scaler, Scaler)


class Evil:
    """An object whose unpickling touches a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def network(inputs: int, outputs: int) -> Any:
    layer = keras.Input((inputs,))
    return keras.Model(layer, keras.layers.Dense(outputs)(layer))


def saved(model: Any) -> bytes:
    """A model as the bytes of its file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return path.read_bytes()
