"""The lock of a model store: whoever trains or compares for an event type does so alone.

It is a file that says since when, and by which process. An object store may let two through that come at the same
moment: there, let one trainer run.
"""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fsspec import AbstractFileSystem

from streamscore.errors import BundleError, StoreUnreachable
from streamscore.files.storage import reason

# A run that began so long ago and never ended was killed.
ABANDONED = timedelta(hours=3)


@contextmanager
def locked(fs: AbstractFileSystem, path: str, now: datetime) -> Iterator[None]:
    """While it lasts nobody else has the lock at `path`; BundleError, which says who, when somebody has.

    A lock that was not given back within hours is taken over. StoreUnreachable when it cannot be read or written.
    """
    own = f"{now.isoformat()} process {os.getpid()} on {platform.node() or 'an unnamed host'}".encode()
    missing = _missing(fs, path)
    try:
        _take(fs, path, own, now)
        yield
    except BaseException:
        _give_back(fs, path, own)
        for folder in missing:
            with suppress(OSError):  # something stands in it
                folder.rmdir()
        raise
    _give_back(fs, path, own)


def _missing(fs: AbstractFileSystem, path: str) -> list[Path]:
    """The folders, innermost first, that a lock needs and that are not there: a run that fails leaves none of them."""
    return [folder for folder in Path(path).parents if not folder.exists()] if "file" in fs.protocol else []


def _give_back(fs: AbstractFileSystem, path: str, own: bytes) -> None:
    with suppress(Exception):
        if fs.cat_file(path) == own:  # another may have taken it over meanwhile
            fs.rm_file(path)


def _take(fs: AbstractFileSystem, path: str, own: bytes, now: datetime) -> None:
    try:
        fs.makedirs(os.path.dirname(path), exist_ok=True)
        _make_way(fs, path, now)
        _create(fs, path, own)
    except FileExistsError:
        raise BundleError("another run has just begun for this model store") from None
    except BundleError:
        raise
    except Exception as error:  # the file systems of fsspec raise whatever they like
        raise StoreUnreachable(f"the model store cannot be written: {reason(error)}") from None


def _make_way(fs: AbstractFileSystem, path: str, now: datetime) -> None:
    """Remove a lock that was abandoned; BundleError while it may be held."""
    try:
        begun, whose = _said(fs, path)
    except FileNotFoundError:
        return
    # One of a time to come is of a clock that was wrong, and would else hold until then.
    if abs(now - begun) < ABANDONED:
        raise BundleError(
            f"another run has been under way for this model store since {begun:%Y-%m-%d %H:%M %Z}"
            f"{whose and f', {whose}'}; one that was killed is forgotten after "
            f"{ABANDONED // timedelta(hours=1)} hours, or when the store's file `training` is removed"
        )
    fs.rm_file(path)


def _said(fs: AbstractFileSystem, path: str) -> tuple[datetime, str]:
    """Since when a lock is held, and by whom; by its file's own time where it says nothing that can be read."""
    try:
        time, _, whose = fs.cat_file(path).decode().partition(" ")
        begun = datetime.fromisoformat(time)
    except ValueError:
        begun, whose = fs.modified(path), ""
    return begun.replace(tzinfo=begun.tzinfo or UTC), whose


def _create(fs: AbstractFileSystem, path: str, own: bytes) -> None:
    """Write a lock that is not there yet. FileExistsError when it is; nothing is left of one that was half written."""
    if "file" not in fs.protocol:
        fs.pipe_file(path, own, mode="create")
        return
    with open(path, "xb", buffering=0) as file:
        try:
            file.write(own)
        except BaseException:
            os.remove(path)
            raise
