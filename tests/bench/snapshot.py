"""Snapshots of fifty million held events: how long the loop, the writing and a restart take."""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from streamscore.archive.order import CHUNK
from streamscore.core.events.aggregate import raw
from streamscore.core.history.entity_history import Bounds, Cursor, EntityHistory
from streamscore.core.history.timeline import Part
from streamscore.core.scoring.warm_up import warm_up
from streamscore.recovery.snapshot_store import SnapshotStore, Written
from streamscore.recovery.snapshot_writer import COPIED, PART
from tests.bench.history import ONE, Stream, stream
from tests.bench.rows import Row, publish

EVENTS, ENTITIES, BATCH = 50_000_000, 1_000_000, 4096


def lived() -> EntityHistory:
    """A history of one entity key and one value."""
    history, part = EntityHistory(ONE, Bounds()), EVENTS // 50
    for number in range(50):  # a part at a time: the columns of all would take more memory than the history
        events = stream(part, ENTITIES, seed=number)
        columns = {**events.columns, raw("event_id"): np.arange(part) + number * part}
        for batch in Stream(columns).batches(CHUNK):
            history.fold(history.read(batch))
    return history


def measure() -> list[Row]:
    """Copies as the loop makes them, files as the thread writes them, and a history that adopts them."""
    warm_up(ONE)
    history = lived()
    turns: list[float] = []
    written: list[Written] = []
    with tempfile.TemporaryDirectory() as folder:
        store = SnapshotStore(folder, ONE.name)
        cursor: Cursor | None = Cursor()
        pieces: list[Part] = []
        writing = 0.0
        while cursor:
            start = time.perf_counter()
            name, part, cursor = history.copied(cursor, COPIED)
            turns.append(time.perf_counter() - start)
            pieces.append(part)
            if not cursor or len(pieces) * COPIED >= PART:
                start = time.perf_counter()
                written.append(store.add("bench", len(written), name, pieces))
                writing += time.perf_counter() - start
                pieces = []
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
        held, batch = history.events, _batch(history)
        del history
        start, restored = time.perf_counter(), EntityHistory(ONE)
        for file in written:
            restored.adopt(file.timeline, store.part("bench", file))
        seconds = time.perf_counter() - start
    name = f"snapshot of {held / 1e6:.0f} million events of {ENTITIES:,} entities:"
    return [
        Row(f"{name} copied by the loop", sum(turns), "s"),
        Row(f"{name} written by the thread", writing, "s"),
        Row(f"{name} size", size / 1e6, "MB"),
        Row(f"{name} restored", seconds, "s"),
        Row(f"{name} longest turn against fold and query of a batch", max(turns) / batch, "of its time"),
        Row(f"{name} median turn against that", float(np.median(turns)) / batch, "of its time"),
        Row(f"{name} events missing after it", held - restored.events, "events", "== 0"),
    ]


def _batch(history: EntityHistory) -> float:
    """Seconds that fold and query of a batch take, the slower half of some."""
    found = []
    for number in range(40):
        columns = stream(BATCH, ENTITIES, seed=1000 + number).columns
        ids = np.arange(BATCH) + (1000 + number) * EVENTS
        start = time.perf_counter()
        rows = history.read({**columns, raw("event_id"): ids})
        history.fold(rows)
        history.query(rows)
        found.append(time.perf_counter() - start)
    return float(np.median(found))


if __name__ == "__main__":
    sys.exit(publish(measure(), Path("build/snapshot.json")))
