"""Promotion and rollback: each undoes the other, and one that fails at any step changes nothing."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from streamscore.cli.main import cli
from streamscore.errors import BundleError, StoreUnreachable
from streamscore.models.bundle_files import NETWORK
from streamscore.models.store import ModelStore
from tests.unit.models.test_store import FILES, killed_after, manifest, store_of_two


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return store_of_two(tmp_path)


def test_the_challenger_that_is_promoted_is_one_no_more(store: ModelStore) -> None:
    """A promoted challenger loses that alias; another challenger keeps it."""
    store.point("challenger", "v1")
    store.promote("v2")
    assert store.alias("challenger") == "v1"
    store.promote("v1")
    assert store.alias("challenger") is None


def test_promote_and_roll_back(store: ModelStore) -> None:
    """Promotion keeps the champion before as `previous`; rolling back changes the two, again and again."""
    store.promote("v1")
    assert (store.alias("champion"), store.alias("previous")) == ("v1", None)
    with pytest.raises(BundleError, match="no previous champion"):
        store.rollback()
    store.promote("v2")
    assert (store.alias("champion"), store.alias("previous")) == ("v2", "v1")
    store.promote("v2")
    assert store.alias("previous") == "v1"
    assert store.rollback() == "v1"
    assert (store.alias("champion"), store.alias("previous")) == ("v1", "v2")
    assert store.rollback() == "v2"


def test_a_damaged_bundle_is_not_promoted(store: ModelStore, tmp_path: Path) -> None:
    """Promotion verifies the digests first, and leaves the aliases as they are when they are wrong."""
    store.promote("v1")
    (tmp_path / "transaction" / "v2" / NETWORK).write_bytes(b"evil")
    with pytest.raises(BundleError, match="digest"):
        store.promote("v2")
    assert (store.alias("champion"), store.alias("previous")) == ("v1", None)


def aliases(store: ModelStore) -> tuple[str | None, ...]:
    return store.alias("champion"), store.alias("previous"), store.alias("challenger")


@pytest.mark.parametrize("survivors", [0, 1])
def test_a_promotion_that_fails_changes_nothing(store: ModelStore, survivors: int) -> None:
    """Killed or on a full disk at either step: champion and previous are as they were, and a rollback is right."""
    store.write(manifest("v3", 3), FILES)
    store.promote("v1")
    store.promote("v2")
    store.point("challenger", "v3")
    with killed_after(survivors):
        store.promote("v3")
    assert aliases(store) == ("v2", "v1", "v3")
    store.promote("v3")
    assert aliases(store) == ("v3", "v2", None)
    assert store.rollback() == "v2"
    assert aliases(store) == ("v2", "v3", None)


def test_a_first_promotion_that_fails_leaves_nothing_to_roll_back_to(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback that would change nothing is an error."""
    store.promote("v1")
    store._set_alias("previous", "v1")
    with pytest.raises(BundleError, match="no previous champion to roll back to"):
        store.rollback()
    store.promote("v2")
    assert aliases(store) == ("v2", "v1", None)
    (store._fs.open(f"{store._root}/aliases/previous", "wb")).close()
    with pytest.raises(BundleError, match="alias previous does not hold a version"):
        store.rollback()
    store.promote("v1")
    assert aliases(store) == ("v1", "v2", None)


def test_a_challenger_that_stayed_is_one_no_more_when_promoted_again(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step of a promotion failed: promoting again does it."""
    store.point("challenger", "v1")

    def fails(_: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(store._fs, "rm_file", fails)
    with pytest.raises(StoreUnreachable, match="cannot be written: Input/output error"):
        store.promote("v1")
    assert aliases(store) == ("v1", None, "v1")
    monkeypatch.undo()
    store.promote("v1")
    assert aliases(store) == ("v1", None, None)


def test_promotion_mends_a_damaged_alias(store: ModelStore, tmp_path: Path) -> None:
    """An alias that holds no version keeps no bundle from becoming champion, and the list goes on without it."""
    aliases_of = tmp_path / "transaction" / "aliases"
    aliases_of.mkdir()
    where = ["--store", str(tmp_path), "--event-type", "transaction"]
    for name in ("champion", "challenger", "previous"):
        (aliases_of / name).write_bytes(b"")
    done = CliRunner().invoke(cli, ["models", "list", *where])
    assert (done.exit_code, done.stdout) == (0, "v1\nv2\n")
    assert "alias champion does not hold a version" in done.stderr
    store.promote("v1")
    assert store.alias("champion") == "v1"
    (aliases_of / "previous").write_bytes(b"\xff v2")
    store.promote("v2")
    assert (store.alias("champion"), store.rollback()) == ("v2", "v1")
