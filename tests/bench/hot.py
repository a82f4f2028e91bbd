"""One entity with very many events: insert, drop and ask, and what the others notice of it."""

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np

from streamscore.core.events.aggregate import Aggregate, AggregateKind, raw
from streamscore.core.events.field import Columns
from streamscore.core.history.entity_history import Bounds, EntityHistory
from streamscore.core.scoring.warm_up import warm_up
from tests.bench.history import BATCH, SPAN, TWELVE, Stream, event_type, stream
from tests.bench.rows import Row, publish

MONTH = timedelta(days=30)
SCANNED: dict[AggregateKind, str] = {"min": "amount", "max": "amount", "distinct": "terminal"}
HELD = (100_000, 1_000_000)
ROUNDS = 7
# Terminals among which different ones are counted, and events that each cold entity has.
TERMINALS, COLD = 1000, 20


def measure() -> list[Row]:
    """All rows."""
    warm_up(TWELVE)
    return [row for held in HELD for row in (*_told(held), *_asked(held))]


def _told(held: int) -> list[Row]:
    """Twelve windows of one entity: told in order, as much again late, and half of it dropped little by little."""
    events = stream(2 * held, 1)
    early = Stream({name: values[::2] for name, values in events.columns.items()})
    late = Stream({name: values[1::2] for name, values in events.columns.items()})
    history = EntityHistory(TWELVE, Bounds(slack=SPAN))
    in_order = _seconds(lambda: [history.fold(history.read(columns)) for columns in early.batches(BATCH)])
    afterwards = _seconds(lambda: [history.fold(history.read(columns)) for columns in late.batches(BATCH)])
    times = [int(columns["occurred_at"][-1]) for columns in Stream(events.columns).batches(BATCH)]

    def drop() -> None:
        for at in times[: len(times) // 2]:
            history.trim(at + history.horizon, BATCH)

    dropping = _seconds(drop)
    name = f"one entity with {held:,} events:"
    return [
        Row(f"{name} fold in order", in_order / held * 1e6, "µs/event"),
        Row(f"{name} fold as many, all late, in batches", afterwards / held * 1e6, "µs/event"),
        Row(f"{name} drop half of all", dropping / history.tally.dropped * 1e6, "µs/event"),
    ]


def _asked(held: int) -> list[Row]:
    """Extremes and different values over a month: of a hot batch, and of one that is half of cold entities."""
    found = []
    for kind, value in SCANNED.items():
        declared = event_type((Aggregate("number", kind, ("customer",), MONTH, value=value),))
        warm_up(declared)
        history = EntityHistory(declared)
        history.fold(history.read(_columns(held, _hot, 0)))
        history.fold(history.read(_columns(held, lambda rows: 1 + np.arange(rows) % (rows // COLD), held)))
        whole, half = (_columns(rows, _hot, 2 * held, at=1.0) for rows in (BATCH, BATCH // 2))
        cold = _columns(BATCH // 2, lambda rows: 1 + np.arange(rows), 2 * held + BATCH, at=1.0)
        mixed = np.random.default_rng(2).permutation(BATCH)
        both = {name: np.concatenate([values, cold[name]])[mixed] for name, values in half.items()}
        batches = [history.read(batch) for batch in (whole, half, cold, both)]
        taken = np.array([[_seconds(partial(history.query, batch)) for batch in batches] for _ in range(ROUNDS)])
        ratio = np.median(taken[:, 3] / (taken[:, 1] + taken[:, 2]))
        name = f"{kind} over {held:,} events of one entity, batch of {BATCH}"
        found.append(Row(name, float(np.median(taken[:, 0])) / BATCH * 1e6, "µs/event"))
        found.append(Row(f"{name}, half of it of cold entities: to both halves apart", float(ratio), ""))
    return found


def _hot(rows: int) -> np.ndarray:
    return np.zeros(rows, np.int64)


def _columns(rows: int, customers: Callable[[int], np.ndarray], first: int, at: float | None = None) -> Columns:
    """Events evenly over a month, or at its end."""
    columns = stream(rows, TERMINALS).columns
    month = MONTH / timedelta(microseconds=1)
    when = np.linspace(0.0, 1.0, rows) if at is None else np.full(rows, at)
    ids = {raw("event_id"): first + np.arange(rows), raw("customer"): customers(rows)}
    return {**columns, **ids, "occurred_at": (when * month).astype(np.int64)}


def _seconds(work: Callable[[], object]) -> float:
    """Of the processor: it is one thread's work, whatever else the machine does."""
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(publish(measure(), Path("build/hot.json")))
