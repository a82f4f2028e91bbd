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

from streamscore.core.aggregate import Aggregate, raw
from streamscore.core.event import Columns
from streamscore.core.event_type import EventType
from streamscore.core.feature import FeatureSet
from streamscore.core.history import EntityHistory, Keyed
from streamscore.core.identity import key_hashes
from streamscore.core.timeline import Part
from streamscore.core.warm import warm
from tests.bench.rows import Row, publish
from tests.copied import again

ENTITIES, BATCH, BULK = 1_000_000, 4096, 1 << 17
# Events that each entity has when a batch comes, and what is folded then.
HELD, MORE = 20, 1_000_000
SPAN = timedelta(days=37)


class Payment(msgspec.Struct, frozen=True):
    """An event with two entities and a value."""

    event_id: int
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)]
    customer: int
    terminal: int
    amount: Annotated[float, msgspec.Meta(ge=0, le=1e9)]


def windows() -> tuple[Aggregate, ...]:
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


TWELVE = event_type(windows())
ONE = event_type(tuple(a for a in windows() if a.entity == ("customer",)))


class Stream(NamedTuple):
    """Events in time order, as columns."""

    columns: dict[str, np.ndarray]

    def batches(self, size: int) -> Iterator[Columns]:
        rows = len(self.columns["occurred_at"])
        for start in range(0, rows, size):
            yield {name: values[start : start + size] for name, values in self.columns.items()}


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


def told(history: EntityHistory, events: Stream, size: int) -> Seconds:
    """Fold a stream and ask each of its events, as a worker or the trainer does."""
    spent = np.zeros(4)
    for columns in events.batches(size):
        marks = [time.perf_counter()]
        rows: Keyed = history.read(columns)
        marks.append(time.perf_counter())
        history.fold(rows)
        marks.append(time.perf_counter())
        history.query(rows)
        marks.append(time.perf_counter())
        history.trim(int(rows.at[-1]), size)
        marks.append(time.perf_counter())
        spent += np.diff(marks)
    return Seconds(*spent.tolist())


def measure() -> list[Row]:
    """All rows."""
    for kind in (TWELVE, ONE):
        warm(kind)
    return [*_batches(), *_held()]


def _lived() -> EntityHistory:
    """A history in which each of a million customers and terminals has events already, evenly over the horizon."""
    at = np.linspace(-SPAN / timedelta(microseconds=1), -1, HELD).astype(np.int64)
    history = EntityHistory(TWELVE)
    for name, columns in (("customer", 1), ("terminal", 0)):
        part = Part(
            key_hashes([np.arange(ENTITIES)]),
            np.full(ENTITIES, HELD),
            np.tile(at, ENTITIES) + np.repeat(np.arange(ENTITIES), HELD),
            -np.arange(1, ENTITIES * HELD + 1).reshape(-1, 1),
            np.full((ENTITIES * HELD, columns), 1234),
        )
        history.adopt(name, part)
    return history


def _batches() -> list[Row]:
    """Batches of a worker's size, and then of a trainer's, when each entity has events already."""
    history, events = _lived(), stream(2 * MORE, ENTITIES)
    first = Stream({name: values[:MORE] for name, values in events.columns.items()})
    second = Stream({name: values[MORE:] for name, values in events.columns.items()})
    spent = told(history, first, BATCH)
    name = "1,000,000 × 1,000,000 entities, 12 windows, batches of 4096:"
    found = [Row(f"{name} {step}", seconds / MORE * 1e6, "µs/event") for step, seconds in spent._asdict().items()]
    start = time.perf_counter()
    np.lexsort((events.columns["occurred_at"][:MORE], events.columns[raw("customer")][:MORE]))
    sort = time.perf_counter() - start
    bulk = sum(told(history, second, BULK))
    return [
        *found,
        Row("1,000,000 × 1,000,000 entities, in bulk: fold and query", MORE / bulk, "events/s"),
        Row("one NumPy sort of the same rows", MORE / sort, "rows/s"),
        Row("bulk fold and query against that sort", sort / bulk, "of its rate"),
    ]


def _held() -> list[Row]:
    """Bytes of everything that is held, at the end of a growth from nothing, and of the same in a new history."""
    history = EntityHistory(ONE)
    entities = ENTITIES // 10
    each = 50
    for columns in stream(entities * each, entities).batches(BULK):
        history.fold(history.read(columns))
    restored = again(ONE, history, BULK)
    return [
        Row("bytes per held event, one key and one value, as grown", history.nbytes / history.events, "B", "<= 32"),
        Row("bytes per held event, the same after a restart", restored.nbytes / restored.events, "B", "<= 32"),
    ]


if __name__ == "__main__":
    sys.exit(publish(measure(), Path("build/history.json")))
