"""Champions: the first one, the next one, and one that cannot be trusted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Bundle
from streamscore.errors import BundleError
from streamscore.models.alias_watch import AliasWatch, Handlers
from streamscore.models.bundle_files import NETWORK
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
def ready() -> list[str]:
    """The versions of the champions that became ready."""
    return []


@pytest.fixture
def handlers(ready: list[str], refused: list[str]) -> Handlers:
    def changed(_: str, bundle: Bundle | None) -> None:
        assert bundle
        ready.append(bundle.manifest.version)

    return Handlers(changed, refused.append)


@pytest.fixture
def watch(store: ModelStore, handlers: Handlers, champion_of: Callable[[str], Bundle]) -> AliasWatch:
    return AliasWatch("champion", {"transaction": store}, handlers, {"transaction": champion_of("transaction")})


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
def test_a_new_champion_is_taken_once(
    watch: AliasWatch, store: ModelStore, ready: list[str], refused: list[str]
) -> None:
    """A promoted bundle is handed out once, ready to score; the old one is not handed out again."""
    watch.look(TRANSACTION, "cpu")
    assert ready == []
    store.promote(copied(store, "next-1"))
    watch.look(TRANSACTION, "cpu")
    watch.look(TRANSACTION, "cpu")
    assert ready == ["next-1"]
    assert refused == []


def test_a_damaged_champion_is_refused_once(
    handlers: Handlers,
    store: ModelStore,
    models: Path,
    ready: list[str],
    refused: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A champion that cannot be trusted is not handed out, is said and counted, and tried once a promotion."""
    store.promote(copied(store, "next-1"))
    (models / "transaction" / "next-1" / NETWORK).write_bytes(b"evil")
    watch = AliasWatch("champion", {"transaction": store}, handlers)
    for _ in range(3):
        watch.look(TRANSACTION, "cpu")
    assert ready == []
    assert refused == ["transaction"]
    assert "new champion of transaction refused, the old one stays: BundleError: next-1: model.keras" in caplog.text


def test_the_alias_may_disappear(watch: AliasWatch, models: Path, ready: list[str], refused: list[str]) -> None:
    """Where there is no champion any more, the one in use stays."""
    (models / "transaction" / "aliases" / "champion").unlink()
    watch.look(TRANSACTION, "cpu")
    assert (ready, refused) == ([], [])


def test_an_unreachable_store_is_tried_again(
    handlers: Handlers, store: ModelStore, ready: list[str], refused: list[str]
) -> None:
    """A store that does not answer refuses no bundle: the same promotion is looked at again."""
    store.promote(copied(store, "next-1"))
    tried: list[str] = []

    def unreachable(_: ModelStore, version: str, *__: object) -> Bundle:
        tried.append(version)
        raise ConnectionError

    watch = AliasWatch("champion", {"transaction": store}, handlers, load=unreachable)
    for _ in range(2):
        watch.look(TRANSACTION, "cpu")
    assert tried == ["next-1", "next-1"]
    assert (ready, refused) == ([], [])
