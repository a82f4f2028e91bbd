"""The model store's rules: immutable bundles and atomic aliases; no network is loaded."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamscore.cli.main import cli
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Manifest
from streamscore.errors import BundleError, SettingsError, StoreUnreachable
from streamscore.models.bundle_files import GOLDEN, MANIFEST, NETWORK, SCALER, digest
from streamscore.models.store import ModelStore
from tests.support.samples import StubScorer, bundle, by_amount

FILES = {NETWORK: b"network", SCALER: b"{}", GOLDEN: b"golden"}
TEMPLATE = bundle(TRANSACTION, StubScorer(by_amount)).manifest


def manifest(version: str, day: int = 1) -> Manifest:
    return TEMPLATE.model_copy(update={"version": version, "trained_at": TEMPLATE.trained_at.replace(month=6, day=day)})


def store_of_two(folder: Path) -> ModelStore:
    """A store with bundles v1 and v2, and no alias."""
    found = ModelStore(str(folder), "transaction")
    found.write(manifest("v1", 1), FILES)
    found.write(manifest("v2", 2), FILES)
    return found


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return store_of_two(tmp_path)


def test_what_is_written_is_read(store: ModelStore) -> None:
    """A bundle comes back with its files, and its manifest gives their digests."""
    found = store.read("v1")
    assert found.files == FILES
    assert found.manifest.files == {name: digest(content) for name, content in FILES.items()}
    assert found.manifest.model_copy(update={"files": {}, "digest": ""}) == manifest("v1", 1)


def test_a_manifest_vouches_for_itself(store: ModelStore, tmp_path: Path) -> None:
    """No threshold, calibration or feature can change unnoticed, although no other file holds them."""
    path = tmp_path / "transaction" / "v1" / "manifest.json"
    written = json.loads(path.read_text())
    for key, value in (
        ("thresholds", {"review": 0.5, "decline": 0.6}),
        ("features", ["amount"]),
        ("metrics", {"a": 1}),
    ):
        assert written[key] != value
        path.write_text(json.dumps(written | {key: value}))
        with pytest.raises(BundleError, match=r"v1: manifest.json does not have the digest"):
            store.read("v1")
    path.write_text(json.dumps(written))
    assert store.read("v1").files == FILES


def test_versions_are_ordered_by_age(store: ModelStore) -> None:
    """Bundles are listed oldest first, whatever their names."""
    store.write(manifest("a-newest", 3), FILES)
    assert store.versions() == ["v1", "v2", "a-newest"]
    assert ModelStore("memory://empty-store", "transaction").versions() == []


def test_bundles_are_immutable(store: ModelStore) -> None:
    """A version is written once."""
    with pytest.raises(BundleError, match="v1 is already in the store, and bundles are immutable"):
        store.write(manifest("v1"), FILES | {NETWORK: b"other"})
    assert store.read("v1").files == FILES


@contextmanager
def killed_after(replaced: int) -> Iterator[None]:
    """What is done must be killed, after the store has put so many files in their places."""
    replace, left = os.replace, [replaced]

    def crash(source: str, target: str) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        replace(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamscore.models.store.os.replace", crash)
        with pytest.raises(KeyboardInterrupt):
            yield


def test_an_unfinished_bundle_is_not_there(tmp_path: Path) -> None:
    """A crash at any file leaves no version visible, and the same version can be written afterwards."""
    store = ModelStore(str(tmp_path), "transaction")
    for survivors in range(len(FILES) + 1):
        with killed_after(survivors):
            store.write(manifest("v1"), FILES)
        assert store.versions() == []
        with pytest.raises(BundleError, match=r"manifest\.json is missing"):
            store.read("v1")
    store.write(manifest("v1"), FILES)
    assert store.read("v1").files == FILES


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "emptied", "removed", "lengthened"])
def test_a_damaged_file_is_told(store: ModelStore, tmp_path: Path, name: str, damage: str) -> None:
    """A bundle with one file cut, changed, emptied or missing is refused, and the version named."""
    path = tmp_path / "transaction" / "v1" / name
    content = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        flipped = bytes([content[0] ^ 1]) + content[1:]
        path.write_bytes(
            {"flipped": flipped, "truncated": content[:-1], "emptied": b"", "lengthened": content + b"}"}[damage]
        )
    with pytest.raises(BundleError, match="v1") as caught:
        store.read("v1")
    assert name in str(caught.value)
    assert store.read("v2").files == FILES


@pytest.mark.parametrize("name", list(FILES))
def test_every_flipped_byte_is_found(store: ModelStore, tmp_path: Path, name: str) -> None:
    """No byte of a bundle's files can change unnoticed."""
    path = tmp_path / "transaction" / "v1" / name
    content = path.read_bytes()
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x80]) + content[position + 1 :])
        with pytest.raises(BundleError, match=f"{name} does not have the digest its manifest gives"):
            store.read("v1")


def rewritten(folder: Path, **changes: object) -> None:
    """Change what v1's manifest says."""
    path = folder / "transaction" / "v1" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_manifest_must_list_what_is_loaded(store: ModelStore, tmp_path: Path) -> None:
    """A file without a digest is not trusted."""
    rewritten(tmp_path, files={NETWORK: digest(b"network")})
    with pytest.raises(BundleError, match=r"lists no golden\.npz, scaler\.json"):
        store.read("v1")


def test_a_manifest_of_another_version(store: ModelStore, tmp_path: Path) -> None:
    """A bundle copied over another is refused."""
    rewritten(tmp_path, version="v2")
    with pytest.raises(BundleError, match="v1: the manifest is that of v2"):
        store.read("v1")


@pytest.mark.parametrize("name", ["../v2/golden.npz", "/etc/passwd", "a/../b", "", ".", "..", "x/y", "a\0b"])
def test_a_manifest_cannot_point_elsewhere(store: ModelStore, tmp_path: Path, name: str) -> None:
    """A file name that leaves the bundle's folder is refused before anything is read."""
    rewritten(tmp_path, files={name: digest(b"x")} | {known: digest(content) for known, content in FILES.items()})
    with pytest.raises(BundleError, match="is not the name of a bundle's file"):
        store.read("v1")


@pytest.mark.parametrize("version", ["..", ".", "", "../transaction/v1", "v1/", "/v1", "a" * 101, "v 1", "v1\n", ".v1"])
def test_versions_cannot_point_elsewhere(store: ModelStore, version: str) -> None:
    """A version that is no plain name is refused, for reading as for promoting."""
    for act in (store.read, store.manifest, store.promote):
        with pytest.raises(BundleError, match="is not the name of a bundle's file"):
            act(version)


def test_an_alias_holds_a_version(store: ModelStore, tmp_path: Path) -> None:
    """An alias is None until it is set; one that holds no version is refused, not followed."""
    assert store.alias("champion") is None
    store.point("champion", "v1")
    assert store.alias("champion") == "v1"
    path = tmp_path / "transaction" / "aliases" / "champion"
    assert path.read_bytes() == b"v1"
    for content in (b"../v2", b"", b"v1 v2", b"\xff\xfe", b"v1\x00"):
        path.write_bytes(content)
        with pytest.raises(BundleError, match="alias champion does not hold a version"):
            store.alias("champion")
    path.write_bytes(b" v2\n")
    assert store.alias("champion") == "v2"


def test_an_alias_points_to_what_is_there(store: ModelStore) -> None:
    """An alias cannot be pointed to a version that is not complete."""
    with pytest.raises(BundleError, match="v9"):
        store.point("challenger", "v9")
    assert store.alias("challenger") is None


def test_aliases_change_at_once(store: ModelStore) -> None:
    """A crash while an alias is written leaves the old one whole."""
    store.point("champion", "v1")
    with killed_after(0):
        store.point("champion", "v2")
    assert store.alias("champion") == "v1"


def test_a_manifest_that_cannot_be_read_hides_no_other_bundle(store: ModelStore, tmp_path: Path) -> None:
    """It is left out of the versions, and `models list` says of it why, and lists the others."""
    (tmp_path / "transaction" / "v1" / MANIFEST).write_text("{")
    assert store.versions() == ["v2"]
    done = CliRunner().invoke(cli, ["models", "list", "--store", str(tmp_path), "--event-type", "transaction"])
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["v2", "v1"]
    assert "v1  unreadable: manifest.json is not a manifest" in done.stdout


def test_the_list_tells_verdicts_and_figures_that_are_none(store: ModelStore, tmp_path: Path) -> None:
    """And promoting what the gates had rejected says what they had against it."""
    found = store.read("v2")
    judgement = {"verdict": "reject", "reasons": ["too few positives"]}
    metrics = {"test": {"auc": None, "ece": 0.5}, "judgement": judgement}
    store.write(found.manifest.model_copy(update={"version": "v3", "metrics": metrics}), found.files)
    where = ["--store", str(tmp_path), "--event-type", "transaction"]
    assert "v3  auc none  ece 0.5000  reject\n" in CliRunner().invoke(cli, ["models", "list", *where]).stdout
    done = CliRunner().invoke(cli, ["models", "promote", "v3", *where])
    assert done.stdout == "v3 is the champion\n"
    assert done.stderr == "its gates had rejected it: too few positives\n"
    assert "v3  auc none  ece 0.5000  reject  champion\n" in CliRunner().invoke(cli, ["models", "list", *where]).stdout


def test_a_time_without_a_zone_is_none(store: ModelStore, tmp_path: Path) -> None:
    """When a bundle was trained is compared with the clock: a manifest that leaves it open is not read."""
    path = tmp_path / "transaction" / "v1" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"trained_at": "2026-06-01T00:00:00"}))
    with pytest.raises(BundleError, match=r"v1: manifest\.json is not a manifest"):
        store.manifest("v1")


@pytest.mark.parametrize("url", ["foo://u:hunter2@x", "github://hunter2", "zip:///no/hunter2"])
def test_urls_that_open_nothing(url: str) -> None:
    """A store whose URL cannot be opened is an error of the settings, which quotes no password."""
    with pytest.raises(SettingsError, match=r"^a model store at \w+:// cannot be opened: ") as caught:
        ModelStore(url, "transaction")
    assert "hunter2@" not in str(caught.value)


def test_a_store_that_is_a_file(tmp_path: Path) -> None:
    """A store that cannot be read or written says so, as a BundleError that is no verdict on a bundle."""
    (tmp_path / "file").write_text("x")
    store = ModelStore(str(tmp_path / "file"), "transaction")
    for act in (lambda: store.alias("champion"), lambda: store.read("v1"), lambda: store.promote("v1")):
        with pytest.raises(StoreUnreachable, match=r"^the model store cannot be read: Not a directory$"):
            act()
    with pytest.raises(StoreUnreachable, match="cannot be written: Not a directory"):
        store._replace(f"{tmp_path}/file/x", b"")
    done = CliRunner().invoke(cli, ["models", "list", "--store", str(tmp_path / "file"), "--event-type", "transaction"])
    assert isinstance(done.exception, BundleError)
    assert issubclass(StoreUnreachable, OSError)


def test_file_systems_raise_whatever_they_like(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a file system raises when it is listed is a store that cannot be read."""

    def broken(_: str) -> list[str]:
        raise ValueError

    monkeypatch.setattr(store._fs, "glob", broken)
    with pytest.raises(StoreUnreachable, match="cannot be read: ValueError"):
        store.versions()


def test_stores_of_two_types_are_apart(store: ModelStore, tmp_path: Path) -> None:
    """Another event type in the same folder has bundles and aliases of its own."""
    store.promote("v1")
    other = ModelStore(str(tmp_path), "application")
    assert (other.versions(), other.alias("champion")) == ([], None)


@pytest.mark.parametrize("name", ["models[1]", "models*", "model?"])
def test_a_folder_named_like_a_pattern(tmp_path: Path, name: str) -> None:
    """It holds its own bundles, neither none nor those of a neighbour."""
    ModelStore(str(tmp_path / "models1"), "transaction").write(manifest("v9"), FILES)
    assert store_of_two(tmp_path / name).versions() == ["v1", "v2"]


def test_any_fsspec_url() -> None:
    """A store in memory keeps the same rules as a folder."""
    store = ModelStore("memory://store-test/models/", "transaction")
    store.write(manifest("v1", 1), FILES)
    store.write(manifest("v2", 2), FILES)
    with pytest.raises(BundleError, match="immutable"):
        store.write(manifest("v1"), FILES)
    store.promote("v1")
    store.promote("v2")
    assert store.rollback() == "v1"
    assert ModelStore("memory://store-test/models", "transaction").read("v1").files == FILES
    assert store.versions() == ["v1", "v2"]
    with pytest.raises(BundleError, match="is missing"):
        store.read("v3")
