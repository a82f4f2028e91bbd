"""A history to begin with: that of the newest snapshot that can be trusted."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from streamscore.core.events.event_type import EventType
from streamscore.core.events.record import Partition
from streamscore.core.history.entity_history import Bounds
from streamscore.core.privacy.pseudonym import Pseudonyms, wrong_key
from streamscore.core.scoring.stream_history import StreamHistory
from streamscore.errors import DataError
from streamscore.files.as_of import OnProgress
from streamscore.kafka.start_offsets import Kept
from streamscore.recovery.snapshot_store import Identity, Manifest, SnapshotStore

# Counted up when the same declaration means other rows: ids hashed otherwise, sums in other units.
FORMAT = 2

log = logging.getLogger("streamscore.worker")

# In place of the last erasure where the store does not say: then no snapshot is trusted, and none is made.
UNKNOWN = "unknown"


class RecoverableStream(NamedTuple):
    """The stream of which a past is, as far as it can be read again: what its topics keep, and their ids.

    `pseudonyms` are those by which its history knows entities; `erased` is what the store of snapshots said of
    erasures before anything of the past was read.
    """

    event_type: EventType
    bounds: Bounds
    kept: Mapping[Partition, Kept]
    topics: dict[str, str]
    pseudonyms: Pseudonyms | None = None
    erased: str | None = None

    @property
    def empty(self) -> StreamHistory:
        begun = {partition: kept.first for partition, kept in self.kept.items()}
        return StreamHistory(self.event_type, self.bounds, begun, self.pseudonyms)

    @property
    def key_id(self) -> str | None:
        """What tells its pseudonyms from others; None where entities go by their ids."""
        return self.pseudonyms.key_id if self.pseudonyms else None

    @property
    def identity(self) -> Identity:
        """What snapshots of it say that they are of."""
        return Identity(declaration(self.event_type, self.empty.horizon), self.topics, self.key_id, self.erased)


def declaration(event_type: EventType, horizon: int) -> str:
    """A digest of everything that decides which rows a history holds, and for how long (µs)."""
    measured = {aggregate.value for aggregate in event_type.history}
    measured |= {field.name for field in event_type.identified}
    # A number that may be missing has one more column of sums.
    told = [
        (f.name, f.kind, f.whole, f.nullable, f.ranged, f.largest, sorted(map(str, f.codes)))
        for f in event_type.fields
        if f.name in measured
    ]
    text = repr((FORMAT, event_type.name, horizon, event_type.history, told))
    return hashlib.sha256(text.encode()).hexdigest()


def last_erasure(store: SnapshotStore) -> str | None:
    """What a store of snapshots says of erasures; UNKNOWN when it cannot be asked."""
    try:
        return store.erased()
    except Exception as error:  # the file systems of fsspec raise whatever they like
        log.error("whether an entity was erased from the snapshots is unknown: %s: %s", type(error).__name__, error)
        return UNKNOWN


def restored(stream: RecoverableStream, store: SnapshotStore, latest: bool, told: OnProgress) -> StreamHistory | None:
    """The history of the newest snapshot that fits, None without one; `latest` is where a new group starts."""
    try:
        for name in _each(store):
            try:
                manifest = store.manifest(name)
                if reason := _unfit(manifest, stream, latest):
                    log.warning("snapshot %s is not used: %s", name, reason)
                    continue
                return _adopted(stream, store, name, manifest, told)
            except (DataError, FileNotFoundError) as error:  # another worker may just have removed it
                log.error("a snapshot is not used: %s", error)
    except Exception as error:  # the file systems of fsspec raise whatever they like
        log.error("snapshots cannot be read: %s: %s", type(error).__name__, error)
    return None


def _each(store: SnapshotStore) -> Iterator[str]:
    """Every snapshot, newest first, and then those made since: a worker that makes the next one removes old ones."""
    tried = set[str]()
    while fresh := [name for name in store.names() if name not in tried]:
        for name in fresh:
            tried.add(name)
            yield name


def _unfit(manifest: Manifest, stream: RecoverableStream, latest: bool) -> str | None:
    """Why a snapshot is not the past of a stream as it now is."""
    return _other(manifest, stream.identity) or _too_far(manifest, stream, latest)


def _other(manifest: Manifest, ours: Identity) -> str | None:
    if manifest.declaration != ours.declaration:
        return "what is declared as history has changed"
    if manifest.erased != ours.erased:
        return "an entity was erased since, which it may hold"
    if any(manifest.topics.get(name, found) != found for name, found in ours.topics.items()):
        return "a topic is another one of the same name"
    return wrong_key(manifest.key_id, ours.key_id)


def _too_far(manifest: Manifest, stream: RecoverableStream, latest: bool) -> str | None:
    """Why the topics do not go on where a snapshot ends, or what is still to be scored needs more than it holds."""
    for topic, partition, offset in manifest.before.folded:
        there = stream.kept.get((topic, partition))
        if there is None or not there.first <= offset <= there.end:
            return f"{topic} partition {partition} does not keep what follows it, from offset {offset} on"
    for topic, partition, offset in manifest.before.needed:
        committed = stream.kept[topic, partition].committed
        if 0 <= committed < offset or (committed < 0 and not latest):
            return f"{topic} partition {partition} is to be scored from before offset {offset}: what that needs is gone"
    return None


def _adopted(
    stream: RecoverableStream, store: SnapshotStore, name: str, manifest: Manifest, told: OnProgress
) -> StreamHistory:
    history, rows, total = stream.empty, 0, sum(part.rows for part in manifest.parts)
    for part in manifest.parts:
        history.by_entity.adopt(part.timeline, store.part(name, part))
        rows += part.rows
        told(f"history: {rows:,} of {total:,} rows of a snapshot are restored")
    history.resume(manifest.before, manifest.after)
    log.info("history: %d rows are restored of snapshot %s", total, name)
    return history
