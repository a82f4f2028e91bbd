"""How a worker gets its history: from a snapshot or the archive, then by folding all that follows."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from streamscore.core.events.event_type import EventType
from streamscore.core.events.record import Partition
from streamscore.core.history.entity_history import Bounds
from streamscore.core.scoring.pipeline import Prepared
from streamscore.core.scoring.stream_history import StreamHistory
from streamscore.files.as_of import OnProgress
from streamscore.kafka.topics import topic_ids
from streamscore.monitoring.metrics import Metrics
from streamscore.monitoring.probe import Heartbeat
from streamscore.recovery.from_archive import archived
from streamscore.recovery.from_snapshot import RecoverableStream, last_erasure, restored
from streamscore.recovery.snapshot_store import SnapshotStore
from streamscore.recovery.snapshot_writer import SnapshotWriter
from streamscore.settings.pseudonyms import pseudonyms
from streamscore.settings.schema import Settings
from streamscore.worker.protocols import GroupSource
from streamscore.worker.stream import Stream, Topics

# Between two looks at the group and at signals while nothing is scored.
HOLD_SECONDS = 0.05
# Characters of the progress bar.
BAR = 30
# Between two looks whether a topic has more partitions than before.
NEW_SECONDS = 60.0

log = logging.getLogger("streamscore.worker")


class Progress(NamedTuple):
    """What there is to fold at the start: up to which offsets, how many records, and since when (monotonic)."""

    ends: Mapping[Partition, int]
    total: int
    since: float


def bar(total: int, left: int, seconds: float) -> str:
    """How much of so many records is done, as a bar, and how long the rest will take at the pace so far."""
    done = total - left
    filled = BAR * done // max(1, total)
    rest = f", {timedelta(seconds=round(seconds * left / done))} left" if done and left else ""
    return f"[{'#' * filled}{'.' * (BAR - filled)}] {done:,} of {total:,} records{rest}"


class CatchUp:
    """The histories of a worker's streams: how far they are, and what of them no event will ask for again."""

    def __init__(self, source: GroupSource, settings: Settings, metrics: Metrics, on_kafka: bool = True) -> None:
        """A source that is not `on_kafka` cannot be read again: a history begins with its first record."""
        self._source, self._settings, self._metrics = source, settings, metrics
        self._on_kafka = on_kafka
        self._histories: list[StreamHistory] = []
        self._snapshots: list[tuple[SnapshotWriter, StreamHistory]] = []
        self._topics: list[str] = []
        self._next_new = 0.0
        self._progress: Progress | None = None
        self.waiting_for: str | None = None

    def begin(self, streams: Mapping[str, Stream], topics: Topics, told: OnProgress) -> None:
        """Follow every topic of the event types that declare a history, from a snapshot on or the oldest record.

        `told` hears how far a snapshot is read.
        """
        for name, stream in streams.items():
            if stream.bundle.event_type.history:
                self._topics += topics.of(name)
                stream.history = self._begun(stream.bundle.event_type, topics.of(name), told)
                self._histories.append(stream.history)
                if self._on_kafka:
                    self._source.read_from(stream.history.folded)
                    self.waiting_for = "history"

    def _begun(self, event_type: EventType, topics: Sequence[str], told: OnProgress) -> StreamHistory:
        """The history of the newest snapshot that fits, else that of the archive, else one that knows nothing yet."""
        limits = self._settings.history
        kafka = self._settings.kafka
        bounds = Bounds(timedelta(seconds=limits.slack_seconds), limits.max_entities)
        names = pseudonyms(self._settings, [event_type])
        if not self._on_kafka:
            return StreamHistory(event_type, bounds, {}, names)
        latest = kafka.start_from == "latest"
        kept = self._source.follow(topics)
        store = SnapshotStore(limits.snapshots, event_type.name) if limits.snapshots else None
        ids, erased = (topic_ids(kafka, topics), last_erasure(store)) if store else ({}, None)
        retained = RecoverableStream(event_type, bounds, kept, ids, names, erased)
        history = restored(retained, store, latest, told) if store else None
        if history is None:
            history = archived(retained, f"{self._settings.archive.url.rstrip('/')}/{event_type.name}", latest, told)
        if store:
            done = partial(self._metrics.history.snapshot, event_type.name)
            done(0.0)
            self._snapshots.append((SnapshotWriter(store, retained.identity, limits.snapshot_seconds, done), history))
        return history

    def copy(self) -> bool:
        """Copy a little of a history whose snapshot is being made; whether there was one. Called once a turn."""
        return any(writer.turn(history) for writer, history in self._snapshots)

    def close(self) -> None:
        for writer, _ in self._snapshots:
            writer.close()

    def look(self) -> None:
        """See how much is left to fold, and drop what no event will ask for; called about once a second."""
        if not self._histories:
            return
        positions, ends = self._source.positions(), self._source.ends()
        # What an open transaction holds back cannot be folded: it may be aborted.
        positions |= {p: ends[p] for p, at in positions.items() if p in ends and self._source.end_seen.get(p, -1) >= at}
        self._metrics.history.left_to_fold.set(sum(max(0, end - positions.get(p, end)) for p, end in ends.items()))
        for history in self._histories:
            self._metrics.history.observe(history)
        if self.waiting_for:
            self.waiting_for = self._left_to_fold(positions, ends)
        if time.monotonic() >= self._next_new:
            self._next_new = time.monotonic() + NEW_SECONDS
            self._source.follow_new(self._topics)
        committed = self._source.committed()
        for history in self._histories if committed else ():
            history.forget(committed)

    def _left_to_fold(self, positions: Mapping[Partition, int], ends: Mapping[Partition, int]) -> str | None:
        """What of the records that were there at the start is not read yet, in words; None when all is."""
        if self._progress is None and positions.keys() <= ends.keys():
            self._progress = Progress(ends, sum(max(0, ends[p] - at) for p, at in positions.items()), time.monotonic())
        if self._progress is None:
            return "history"
        left = sum(max(0, end - positions.get(p, end)) for p, end in self._progress.ends.items())
        told = bar(self._progress.total, left, time.monotonic() - self._progress.since)
        log.info("history: %s", told)
        return f"history: {told}" if left else None

    def missing(self, history: StreamHistory, prepared: Prepared) -> str | None:
        """Why a batch must not be scored yet: history misses events that its features are made of. None when it may."""
        if self._settings.history.allow_partial or all(entry.at >= history.complete_since for entry in prepared.valid):
            return None
        since = datetime.fromtimestamp(history.complete_since, UTC)
        return f"history, complete only from {since:%Y-%m-%dT%H:%M:%SZ} on; history.allow_partial scores without it"

    def hold(self, reason: str, heartbeat: Heartbeat, going: Callable[[], bool]) -> None:
        """Stay in the group and score nothing, until an operator has decided what to do."""
        log.error("waiting for %s", reason)
        while going():
            heartbeat.turn(reason)
            self._source.poll_group()
            time.sleep(HOLD_SECONDS)
