"""Erasure and snapshots: what may hold an entity is removed, and nobody who may know it makes another."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from streamscore.core.privacy.pseudonym import Pseudonyms
from streamscore.core.scoring.stream_history import StreamHistory
from streamscore.errors import DataError
from streamscore.recovery.from_snapshot import UNKNOWN, last_erasure, restored
from streamscore.recovery.snapshot_store import SnapshotStore
from streamscore.recovery.snapshot_writer import SnapshotWriter
from tests.support.running import until
from tests.unit.recovery.test_snapshot_store import lived, retained, write

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path), "remembered")


def restore(store: SnapshotStore) -> StreamHistory | None:
    """What a worker begins with that starts now."""
    return restored(retained()._replace(erased=last_erasure(store)), store, False, lambda _: None)


def test_every_snapshot_goes(store: SnapshotStore, tmp_path: Path) -> None:
    """Complete ones and those in the making; what is none of ours, and other event types', stays."""
    folder, other = tmp_path / "remembered", SnapshotStore(str(tmp_path), "other")
    write(store, lived())
    write(other, lived())
    write(store, lived(), "20260101T010000-b")
    (folder / "20260101T010000-b" / "manifest.json").unlink()
    (folder / "notes").mkdir()
    assert store.erase(NOW) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["erased", "notes"]
    assert len(other.names()) == 1
    assert other.erased() is None
    assert restore(store) is None
    store.tidy(NOW)
    first = store.erased()
    assert store.erase(NOW) == 0
    assert store.erased() not in (None, first)


def test_there_need_not_be_any(store: SnapshotStore) -> None:
    """A worker that has made none yet must not make one of what it knows either."""
    assert last_erasure(store) is None
    assert store.erase(NOW) == 0
    with pytest.raises(DataError, match="start it again"):
        store.check(None)


def test_one_that_is_being_made_meanwhile_is_not_completed(store: SnapshotStore, tmp_path: Path) -> None:
    """Nothing of it stays; one that begins afterwards is as any other."""
    store.erase(NOW)
    with pytest.raises(DataError, match="an entity was erased"):
        write(store, lived())
    assert not list(tmp_path.rglob("*.parquet"))
    assert store.names() == []


def test_a_running_worker_makes_no_more_until_it_is_started_again(store: SnapshotStore, tmp_path: Path) -> None:
    """It says so, and scores on; its next life makes them again."""
    history, done = lived(), list[float | None]()

    def turned(writer: SnapshotWriter, said: int) -> bool:
        writer.turn(history)
        return len(done) >= said

    old = SnapshotWriter(store, retained().identity, 0.05, done.append)
    until(lambda: turned(old, 1), 30, "a snapshot is made")
    assert done[0] is not None
    store.erase(NOW)
    done.clear()
    until(lambda: turned(old, 3) and done[-3:] == [None] * 3, 30, "it makes no more")
    assert not list(tmp_path.rglob("*.parquet"))
    old.close()
    assert restore(store) is None
    done.clear()
    new = SnapshotWriter(store, retained()._replace(erased=last_erasure(store)).identity, 0.05, done.append)
    until(lambda: turned(new, 1), 30, "a snapshot is made")
    new.close()
    assert restore(store) is not None


def test_what_a_crash_completed_is_not_used(store: SnapshotStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that died before it could remove what it should not have made."""
    store.erase(NOW)
    monkeypatch.setattr(SnapshotStore, "check", lambda *_: None)
    write(store, lived())
    assert len(store.names()) == 1
    assert restore(store) is None


def test_a_store_that_does_not_say_is_not_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whether an erasure came before or after the worker began cannot be told later."""
    (tmp_path / "remembered").mkdir()
    (tmp_path / "remembered" / "erased").mkdir()
    store = SnapshotStore(str(tmp_path), "remembered")
    assert last_erasure(store) == UNKNOWN
    assert "is unknown" in caplog.text


def test_snapshots_of_before_are_still_good(store: SnapshotStore, tmp_path: Path) -> None:
    """A manifest that says nothing of keys and erasures has the digest that it was given."""
    write(store, lived())
    path = next((tmp_path / "remembered").glob("*/manifest.json"))
    said = json.loads(path.read_text())
    assert not said.keys() & {"key_id", "erased"}
    digest = said.pop("digest")
    assert hashlib.sha256(msgspec.json.encode(said | {"digest": ""})).hexdigest() == digest
    assert restore(store) is not None


def test_one_with_a_key_says_so(store: SnapshotStore) -> None:
    """And is restored by whoever has that key."""
    history, stream = lived(), retained()._replace(pseudonyms=Pseudonyms.of("a key"))
    manifest = write(store, history)
    keyed = msgspec.structs.replace(manifest, key_id=stream.key_id, digest="")
    store.complete("20260101T000000-a", keyed)
    assert restored(stream, store, False, lambda _: None) is not None
    assert restore(store) is None
