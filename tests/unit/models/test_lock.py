"""The lock of a model store: one run at a time, none that holds for ever, and nobody's but one's own given back."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streamscore.errors import BundleError, StoreUnreachable
from streamscore.models.store import ModelStore

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(str(tmp_path), "transaction")


@pytest.fixture
def lock(store: ModelStore, tmp_path: Path) -> Path:
    with store.alone(NOW):
        pass
    return tmp_path / "transaction" / "training"


@contextmanager
def no_space() -> Iterator[None]:
    """While it lasts no file can be given a byte, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_it_says_who_has_it(store: ModelStore) -> None:
    """Whoever comes second is told since when, by which process, and how it ends."""
    with store.alone(NOW):
        said = rf"under way .* since 2026-06-01 00:00 UTC, process {os.getpid()} on \S.*; .* `training` is removed$"
        with pytest.raises(BundleError, match=said), store.alone(NOW + HOUR):
            pass
        with pytest.raises(BundleError, match="under way"), store.alone(NOW + HOUR):
            pass


@pytest.mark.parametrize("there", ["", "models", "models/transaction"])
def test_a_run_that_fails_leaves_no_folder(tmp_path: Path, there: str) -> None:
    """Of those that it made; what was there before stays, empty or not, and so does what the run wrote."""
    store = ModelStore(str(tmp_path / "models"), "transaction")
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt), store.alone(NOW):
        raise KeyboardInterrupt
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(KeyboardInterrupt), store.alone(NOW):
        _writes_and_fails(written := tmp_path / "models" / "transaction" / "bundle")
    assert written.read_bytes() == b"1"


def _writes_and_fails(file: Path) -> None:
    file.write_bytes(b"1")
    raise KeyboardInterrupt


def test_a_full_disk_leaves_no_lock(store: ModelStore, lock: Path) -> None:
    """One that could not be written is not there, and the next run takes it."""
    with no_space(), pytest.raises(StoreUnreachable, match="cannot be written: File too large"), store.alone(NOW):
        pass
    assert not lock.exists()
    with store.alone(NOW):
        assert lock.exists()
    assert not lock.exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"yesterday", b"2026-06-01T0"])
def test_a_lock_that_says_nothing_is_as_old_as_its_file(store: ModelStore, lock: Path, content: bytes) -> None:
    """It holds as long as any other, then it is taken over."""
    lock.write_bytes(content)
    os.utime(lock, (NOW.timestamp(), NOW.timestamp()))
    with pytest.raises(BundleError, match="since 2026-06-01 00:00 UTC; "), store.alone(NOW + HOUR):
        pass
    with store.alone(NOW + 4 * HOUR):
        pass


def test_a_time_without_a_zone_is_of_utc(store: ModelStore, lock: Path) -> None:
    """It holds, and is taken over, like one with its zone."""
    lock.write_text("2026-06-01T00:00:00")
    with pytest.raises(BundleError, match="since 2026-06-01 00:00 UTC"), store.alone(NOW + HOUR):
        pass
    with store.alone(NOW + 4 * HOUR):
        pass


def test_a_time_to_come_does_not_hold_until_then(store: ModelStore, lock: Path) -> None:
    """A clock that was wrong once stops nobody for years."""
    lock.write_text((NOW + 9999 * HOUR).isoformat())
    with store.alone(NOW):
        pass


def test_only_its_own_is_given_back(store: ModelStore, lock: Path) -> None:
    """A run of more than hours, whose lock another took over, leaves the other's lock."""
    first = store.alone(NOW)
    first.__enter__()
    with store.alone(NOW + 4 * HOUR):
        first.__exit__(None, None, None)
        assert lock.exists()
        with pytest.raises(BundleError, match="under way"), store.alone(NOW + 5 * HOUR):
            pass
    assert not lock.exists()


def test_two_at_the_same_moment(store: ModelStore, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither saw the other's lock; the second to write it is refused, and leaves it."""
    monkeypatch.setattr("streamscore.models.lock._make_way", lambda *_: None)
    with store.alone(NOW):
        with pytest.raises(BundleError, match="another run has just begun"), store.alone(NOW + HOUR):
            pass
        assert lock.exists()


def test_a_file_system_may_raise_anything(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a store that cannot be written; what the run itself raises comes out as it is."""
    with pytest.raises(OSError, match="of the run") as caught, store.alone(NOW):
        raise OSError(errno.EIO, "of the run")
    assert not isinstance(caught.value, StoreUnreachable)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("403 Forbidden")

    monkeypatch.setattr(store._fs, "makedirs", broken)
    with pytest.raises(StoreUnreachable, match="cannot be written: 403 Forbidden"), store.alone(NOW):
        pass


def test_any_fsspec_url() -> None:
    """A store in memory is locked alike."""
    store = ModelStore("memory://lock-test", "transaction")
    with store.alone(NOW), pytest.raises(BundleError, match="under way"), store.alone(NOW):
        pass
    with store.alone(NOW):
        pass
