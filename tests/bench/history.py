"""Entity history: fold and query of 12 window features at a million entities, bytes held, and the bulk rate.

The bulk rate stands beside one NumPy sort of the same rows in the same run: what any batch engine must do at least.
"""

import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
import pyarrow.parquet as pq

from examples.handbook import TRANSACTION
from streamscore.archive.order import CHUNK
from streamscore.core.events.aggregate import Aggregate, raw
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import FeatureSet
from streamscore.core.events.field import Columns
from streamscore.core.history.entity_history import EntityHistory
from streamscore.core.history.identity import key_hashes
from streamscore.core.history.timeline import Keyed, Part
from streamscore.core.scoring.warm_up import warm_up
from tests.bench.rows import Row, publish
from tests.support import windows
from tests.support.copied import again

ENTITIES, BATCH = 1_000_000, 4096
# Events that an entity has on average when a batch comes, and what is folded then.
HELD, MORE = 20, 1_000_000
SPAN = timedelta(days=37)


class Payment(msgspec.Struct, frozen=True):
    """An event with two entities and a value."""

    event_id: int
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)]
    customer: int
    terminal: int
    amount: Annotated[float, msgspec.Meta(ge=0, le=1e9)]


def twelve() -> tuple[Aggregate, ...]:
    """The Handbook's twelve: count and mean of the customer, delayed count and risk of the terminal."""
    week, found = timedelta(days=7), list[Aggregate]()
    for days in (1, 7, 30):
        width = timedelta(days)
        found.append(Aggregate(f"count_{days}", "count", ("customer",), width))
        found.append(Aggregate(f"mean_{days}", "mean", ("customer",), width, value="amount"))
        found.append(Aggregate(f"terminal_{days}", "count", ("terminal",), width, delay=week))
        found.append(Aggregate(f"risk_{days}", "risk", ("terminal",), width, delay=week))
    return tuple(found)


def event_type(history: tuple[Aggregate, ...]) -> EventType:
    return EventType("bench", Payment, ("customer", "terminal"), FeatureSet(()), "bad", history=history)


TWELVE = event_type(twelve())
ONE = event_type(tuple(a for a in twelve() if a.entity == ("customer",)))


class Stream(NamedTuple):
    """Events in time order, as columns."""

    columns: Columns

    def part(self, start: int, end: int) -> "Stream":
        return Stream({name: values[start:end] for name, values in self.columns.items()})

    def batches(self, size: int) -> Iterator[Columns]:
        rows = len(self.columns["occurred_at"])
        return (self.part(start, start + size).columns for start in range(0, rows, size))


NONE = Stream({"labelled_at": np.empty(0, np.int64)})


def stream(rows: int, entities: int, seed: int = 1) -> Stream:
    """Events evenly over the horizon, each of a random customer and a random terminal."""
    random = np.random.default_rng(seed)
    columns = {
        "occurred_at": np.linspace(0, SPAN / timedelta(microseconds=1), rows).astype(np.int64),
        "amount": random.integers(100, 100_000, rows) / 100,
        raw("event_id"): np.arange(rows),
        raw("customer"): random.integers(0, entities, rows),
        raw("terminal"): random.integers(0, entities, rows),
    }
    return Stream(columns)


class Seconds(NamedTuple):
    """What each step took over a stream."""

    read: float
    fold: float
    query: float
    trim: float


def told(history: EntityHistory, events: Stream, size: int, labels: Stream = NONE) -> Seconds:
    """Fold a stream and ask each of its events, as a worker or the trainer does; labels in the order they were known.

    Seconds are the processor's: it is one thread's work, whatever else the machine does.
    """
    spent, known = np.zeros(4), 0
    for columns in events.batches(size):
        marks = [time.process_time()]
        rows: Keyed = history.read(columns)
        marks.append(time.process_time())
        until = int(np.searchsorted(labels.columns["labelled_at"], rows.at[-1], side="right"))
        if until > known:
            history.fold_labels(labels.part(known, until).columns)
            known = until
        history.fold(rows)
        marks.append(time.process_time())
        history.query(rows)
        marks.append(time.process_time())
        history.trim(int(rows.at[-1]), size)
        marks.append(time.process_time())
        spent += np.diff(marks)
    return Seconds(*spent.tolist())


def measure() -> list[Row]:
    """All rows."""
    for kind in (TWELVE, ONE):
        warm_up(kind)
    data = windows.data_folder()
    return [*_batches(), *(_real(data) if data else ()), *_held()]


def _lived() -> EntityHistory:
    """A history in which each of a million customers and terminals has some events already, all over the horizon."""
    random, history = np.random.default_rng(0), EntityHistory(TWELVE)
    for name, columns in (("customer", 1), ("terminal", 0)):
        sizes = random.integers(HELD // 2, HELD * 3 // 2 + 1, ENTITIES)
        rows = int(sizes.sum())
        place = np.arange(rows) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        at = (place + random.random(rows)) / np.repeat(sizes, sizes) - 1.0
        part = Part(
            key_hashes([np.arange(ENTITIES)]),
            sizes,
            (at * (SPAN / timedelta(microseconds=1))).astype(np.int64),
            -np.arange(1, rows + 1).reshape(-1, 1),
            np.full((rows, columns), 1234),
        )
        history.adopt(name, part)
    return history


def _batches() -> list[Row]:
    """Batches of a worker's size, and then of a trainer's, when as many events come as are dropped."""
    history, columns = _lived(), stream(2 * MORE, ENTITIES).columns
    events = Stream({**columns, "occurred_at": columns["occurred_at"] * (2 * MORE) // (ENTITIES * HELD)})
    spent = told(history, events.part(0, MORE), BATCH)
    name = "1,000,000 × 1,000,000 entities, 12 windows"
    found = [
        Row(f"{name}, batches of 4096: {step}", seconds / MORE * 1e6, "µs/event")
        for step, seconds in spent._asdict().items()
    ]
    second = events.part(MORE, 2 * MORE)
    return [*found, *_against_a_sort(name, second, raw("customer"), sum(told(history, second, CHUNK)))]


def _real(data: Path) -> list[Row]:
    """The published transactions with the labels of the frauds, as the trainer folds and asks them."""
    table = pq.read_table(windows.transactions(data))
    events, frauds = (windows.columns(rows) for rows in (table, table.filter(table["is_fraud"])))
    labels = Stream(windows.taken(frauds, np.argsort(frauds["labelled_at"], kind="stable")))
    history = EntityHistory(TRANSACTION)
    warm_up(TRANSACTION)
    seconds = sum(told(history, Stream(events), CHUNK, labels))
    return _against_a_sort("real transactions, 12 windows and labels", Stream(events), raw("customer_id"), seconds)


def _against_a_sort(name: str, events: Stream, entity: str, seconds: float) -> list[Row]:
    """The rate at which a trainer folds and asks, and that of one sort of the same rows by entity and time."""
    rows = len(events.columns["occurred_at"])
    start = time.process_time()
    np.lexsort((events.columns["occurred_at"], events.columns[entity]))
    sort = time.process_time() - start
    return [
        Row(f"{name}, in bulk: fold and query", rows / seconds, "events/s"),
        Row(f"{name}: one NumPy sort of the same rows", rows / sort, "rows/s"),
        Row(f"{name}: bulk fold and query against that sort", sort / seconds, "of its rate"),
    ]


def _held() -> list[Row]:
    """Bytes of everything that is held, at the end of a growth from nothing, and of the same in a new history."""
    history = EntityHistory(ONE)
    entities = ENTITIES // 10
    each = 50
    for columns in stream(entities * each, entities).batches(CHUNK):
        history.fold(history.read(columns))
    restored = again(ONE, history, CHUNK)
    return [
        Row("bytes per held event, one key and one value, as grown", history.nbytes / history.events, "B", "<= 32"),
        Row("bytes per held event, the same after a restart", restored.nbytes / restored.events, "B", "<= 32"),
    ]


if __name__ == "__main__":
    sys.exit(publish(measure(), Path("build/history.json")))
