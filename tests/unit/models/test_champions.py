"""Champions: the first one, the next one, and one that cannot be trusted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Bundle
from streamscore.errors import BundleError
from streamscore.models.bundle_files import NETWORK
from streamscore.models.champions import ChampionWatch
from streamscore.models.load import first_champion
from streamscore.models.store import ModelStore


@pytest.fixture
def store(models: Path) -> ModelStore:
    """A store whose champion is the session's trained model."""
    return ModelStore(str(models), "transaction")


@pytest.fixture
def refused() -> list[str]:
    """The event types whose new champion was refused, as they are counted."""
    return []


@pytest.fixture
def watch(store: ModelStore, refused: list[str], champion_of: Callable[[str], Bundle]) -> ChampionWatch:
    return ChampionWatch({"transaction": store}, {"transaction": champion_of("transaction")}, refused.append)


def copied(store: ModelStore, version: str) -> str:
    """The champion once more, under another version."""
    champion = store.alias("champion")
    assert champion is not None
    found = store.read(champion)
    store.write(found.manifest.model_copy(update={"version": version}), found.files)
    return version


def test_no_champion(tmp_path: Path) -> None:
    """Without a champion there is nothing to start with, and the error says what to do."""
    with pytest.raises(BundleError, match="no champion for transaction: train a first model"):
        first_champion(ModelStore(str(tmp_path), "transaction"), TRANSACTION, "cpu")


def test_first_champion_must_be_trusted(store: ModelStore, models: Path) -> None:
    """A damaged champion is no model to start with."""
    version = store.alias("champion")
    (models / "transaction" / str(version) / NETWORK).write_bytes(b"")
    with pytest.raises(BundleError, match="digest"):
        first_champion(store, TRANSACTION, "cpu")


@pytest.mark.usefixtures("quick_warming")
def test_a_new_champion_is_taken_once(watch: ChampionWatch, store: ModelStore, refused: list[str]) -> None:
    """A promoted bundle is handed out once, ready to score; the old one is not handed out again."""
    watch._look("transaction", "cpu")
    assert watch.take() == []
    store.promote(copied(store, "next-1"))
    watch._look("transaction", "cpu")
    watch._look("transaction", "cpu")
    assert [bundle.manifest.version for bundle in watch.take()] == ["next-1"]
    assert watch.take() == []
    assert refused == []


def test_a_damaged_champion_is_refused_once(
    watch: ChampionWatch, store: ModelStore, models: Path, refused: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A champion that cannot be trusted is not handed out, is said and counted, and tried once a promotion."""
    store.promote(copied(store, "next-1"))
    (models / "transaction" / "next-1" / NETWORK).write_bytes(b"evil")
    for _ in range(3):
        watch._look("transaction", "cpu")
    assert watch.take() == []
    assert refused == ["transaction"]
    assert "new champion of transaction refused, the old one stays: BundleError: next-1: model.keras" in caplog.text


def test_the_alias_may_disappear(watch: ChampionWatch, models: Path, refused: list[str]) -> None:
    """Where there is no champion any more, the one in use stays."""
    (models / "transaction" / "aliases" / "champion").unlink()
    watch._look("transaction", "cpu")
    assert (watch.take(), refused) == ([], [])


def test_an_unreachable_store_is_tried_again(
    watch: ChampionWatch, store: ModelStore, refused: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that does not answer refuses no bundle: the same promotion is looked at again."""
    store.promote(copied(store, "next-1"))
    tried: list[str] = []

    def unreachable(_: ModelStore, version: str, *__: object) -> Bundle:
        tried.append(version)
        raise ConnectionError

    monkeypatch.setattr("streamscore.models.champions.load", unreachable)
    for _ in range(2):
        watch._look("transaction", "cpu")
    assert tried == ["next-1", "next-1"]
    assert (watch.take(), refused) == ([], [])
