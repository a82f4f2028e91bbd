"""What needs no broker: the simulator, decoding, the compiled scorer, reasons."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import numpy as np

from streamscore.core.events.decode import Limits, decode
from streamscore.core.events.record import Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Bundle
from streamscore.simulator import streams as simulator
from tests.bench.rows import Row
from tests.support.running import START, transactions

ROWS = 400_000
BATCH = 4096


def best_of(runs: int, work: Callable[[], object]) -> float:
    """Seconds of the quickest of several runs: the one least disturbed."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(opened: Callable[[], Bundle]) -> list[Row]:
    """Rows that need no broker, of a bundle that can be opened again and again."""
    bundle, opening = opened(), best_of(3, opened)
    simulator.transactions(1000, START, 5.0, 3)  # the world is built once for a seed
    simulator.applications(1000, START, 5.0, 3)
    drawn = best_of(3, lambda: simulator.transactions(ROWS, START, 5.0, 3))
    applied = best_of(3, lambda: simulator.applications(ROWS, START, 5.0, 3))
    records = [Record("t", 0, n, -1, key, value, None) for n, (key, value) in enumerate(transactions(BATCH))]
    now = datetime(2100, 1, 1, tzinfo=UTC)
    decoding = best_of(20, lambda: decode(TRANSACTION, records, now, Limits()))
    events = [entry.event for entry in decode(TRANSACTION, records, now, Limits())]
    features = best_of(20, lambda: bundle.features.matrix(TRANSACTION.columns(events), BATCH))
    matrix = bundle.features.matrix(TRANSACTION.columns(events), BATCH)
    return [
        Row("bundle read, compiled for each batch shape and checked", opening, "s"),
        Row("simulator, transactions", ROWS / drawn, "rows/s", ">= 500000"),
        Row("simulator, applications", ROWS / applied, "rows/s", ">= 500000"),
        Row("decode", decoding / BATCH * 1e6, "µs/event"),
        Row("columns and features", features / BATCH * 1e6, "µs/event"),
        *_model(bundle, matrix),
    ]


def _model(bundle: Bundle, matrix: np.ndarray) -> list[Row]:
    rows = []
    for size in (1, 64, 1024, 4096):
        seconds = best_of(30, partial(bundle.scorer.risks, matrix[:size]))
        rows.append(Row(f"compiled model, batch of {size}", seconds / size * 1e6, "µs/event"))
    for size in (1, 32, 256):
        seconds = best_of(10, partial(bundle.scorer.contributions, matrix[:size]))
        rows.append(Row(f"reasons, {size} at a time", seconds / size * 1e6, "µs/reasoned event"))
    residual = float(np.abs(bundle.scorer.contributions(matrix[:256]).residual).max())
    return [*rows, Row("largest residual of reasons", residual, "logits", "<= 0.001")]
