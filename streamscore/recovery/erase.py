"""Snapshots that may hold an entity, removed."""

from collections.abc import Iterator
from datetime import datetime

from streamscore.archive.erase import _types
from streamscore.errors import DataError
from streamscore.recovery.snapshot_store import SnapshotStore
from streamscore.settings.schema import Settings


def forgotten(settings: Settings, name: str, now: datetime) -> Iterator[tuple[str, int]]:
    """Remove the snapshots of each history that may hold an entity: of which event type, and how many.

    To be called when the archive does not hold it any more, or a worker that starts now learns it from there.
    DataError when the store fails, which leaves open what is removed.
    """
    if settings.history.snapshots is None:
        return
    for event_type in _types(settings, name):
        if event_type.history:
            store = SnapshotStore(settings.history.snapshots, event_type.name)
            try:
                yield event_type.name, store.erase(now)
            except Exception as error:  # the file systems of fsspec raise whatever they like
                raise DataError(f"snapshots of {event_type.name}: {type(error).__name__}: {error}; try again") from None
