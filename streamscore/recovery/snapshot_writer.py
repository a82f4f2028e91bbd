"""Snapshots made beside the loop: it copies a little of the past each time around, a thread writes what was copied."""

import logging
import os
import queue
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from streamscore.core.history.entity_history import Cursor
from streamscore.core.history.timeline import Part
from streamscore.core.scoring.stream_history import Checkpoint, StreamHistory
from streamscore.recovery.snapshot_store import Identity, Manifest, SnapshotStore, Written, made_at, name_of

# Rows copied in one turn of the loop: a millisecond or two, a tenth of what a full batch takes.
COPIED = 1 << 16
# Rows of one file: 11 MB, which is held in memory while it is packed.
PART = 1 << 20
# What may wait for the thread; a turn adds three at most: where the past stands, rows, where it stands then.
WAITING = 6
# Between two looks of the thread whether the worker stops.
LOOK_SECONDS = 0.2
# While the thread writes its last, at most so long is waited when the worker stops.
LAST_SECONDS = 5.0

log = logging.getLogger("streamscore.worker")

OnDone = Callable[[float | None], None]


class Slice(NamedTuple):
    """Rows of one timeline, on their way to a file."""

    timeline: str
    part: Part


class SnapshotWriter:
    """Makes a snapshot of one history every so often. Used from the loop's thread; workers share a store.

    `on_done` hears when a snapshot was begun that is complete, seconds since 1970; None when one failed.
    """

    def __init__(self, store: SnapshotStore, identity: Identity, every: float, on_done: OnDone) -> None:
        self._store, self._identity, self._every, self._on_done = store, identity, every, on_done
        self._queue: queue.Queue[Slice | Checkpoint] = queue.Queue(WAITING)
        self._due, self._stopping = threading.Event(), threading.Event()
        self._cursor: Cursor | None = None
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)
        self._thread.start()

    def turn(self, history: StreamHistory) -> bool:
        """Copy the next rows, when a snapshot is due and the thread keeps up; whether it did."""
        if not self._due.is_set():
            self._cursor = None
            return False
        if self._queue.qsize() > WAITING - 3:
            return False  # the loop waits for nobody
        if self._cursor is None:
            self._queue.put(history.standing())
            self._cursor = Cursor()
        timeline, part, self._cursor = history.by_entity.copied(self._cursor, COPIED)
        self._queue.put(Slice(timeline, part))
        if self._cursor is None:
            self._due.clear()
            self._queue.put(history.standing())
        return True

    def close(self) -> None:
        """Give up a snapshot that is not complete, and end the thread."""
        self._stopping.set()
        self._thread.join(LAST_SECONDS)

    def _run(self) -> None:
        # Workers that were started together must not all write the same.
        while not self._stopping.wait(self._every * random.uniform(0.9, 1.1)):  # noqa: S311
            try:
                self._make(datetime.now(UTC))
            except Exception as error:  # the file systems of fsspec raise whatever they like; the loop scores on
                log.error("no snapshot of the history was made: %s: %s", type(error).__name__, error)
                self._on_done(None)
            self._due.clear()

    def _make(self, now: datetime) -> None:
        newest = next(filter(None, map(made_at, self._store.names())), None)
        if newest and abs(now - newest) < timedelta(seconds=self._every / 2):
            self._on_done(newest.timestamp())
            return  # by another worker
        self._store.tidy(now)  # first, for what was given up may be what fills the volume
        self._store.check(self._identity.erased)
        while not self._queue.empty():
            self._queue.get()  # of a snapshot that failed
        self._due.set()
        # One that a wrong clock has named would else be the newest for ever.
        named = max(now, newest + timedelta(seconds=1)) if newest else now
        name = name_of(named, f"{os.getpid():x}{random.getrandbits(32):08x}")
        done = False
        try:
            done = self._written(name, now)
        finally:
            if not done:
                with suppress(Exception):  # the first error is reported; this one would hide it
                    self._store.remove([name])

    def _written(self, name: str, now: datetime) -> bool:
        """Write what the loop copies; False when the worker stops before all of it is written."""
        before, written = self._next(), list[Written]()
        pieces: list[Slice] = []
        while isinstance(before, Checkpoint) and (came := self._next()):
            if pieces and (isinstance(came, Checkpoint) or _is_enough(pieces, came)):
                written.append(self._store.add(name, len(written), pieces[0].timeline, [s.part for s in pieces]))
                pieces = []
            if isinstance(came, Checkpoint):
                self._store.complete(name, self._manifest(before, came, written))
                self._on_done(now.timestamp())
                log.info("a snapshot of the history is made: %d rows", sum(part.rows for part in written))
                self._store.tidy(now)
                return True
            pieces.append(came)
        return False

    def _manifest(self, before: Checkpoint, after: Checkpoint, written: list[Written]) -> Manifest:
        declaration, topics, key_id, erased = self._identity
        return Manifest(declaration, topics, before, after, written, key_id, erased)

    def _next(self) -> Slice | Checkpoint | None:
        """What the loop copied next; None when the worker stops."""
        while not self._stopping.is_set():
            with suppress(queue.Empty):
                return self._queue.get(timeout=LOOK_SECONDS)
        return None


def _is_enough(pieces: list[Slice], came: Slice) -> bool:
    """Whether what was copied is a file: full, or the next rows are of another timeline or have longer ids."""
    other = (came.timeline, came.part.ids.shape[1]) != (pieces[0].timeline, pieces[0].part.ids.shape[1])
    return other or sum(len(piece.part.at) for piece in pieces) >= PART
