"""The published window features of the Fraud Detection Handbook, from its raw transactions: the golden oracle.

The public data sets are not part of the project: DATA names the folder that holds them as parquet.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from examples.handbook import TRANSACTION, WINDOWS
from streamscore.core.events.aggregate import raw
from streamscore.core.events.field import Columns
from streamscore.core.history.entity_history import EntityHistory
from streamscore.recovery.snapshot_store import SnapshotStore
from tests.bench.rows import Row
from tests.support.copied import copies
from tests.support.running import run_command

MINUTE = 60_000_000  # µs
WEEK = 7 * 24 * 60 * MINUTE
NAMES = [aggregate.name for aggregate in WINDOWS]
MEANS = [aggregate.name for aggregate in WINDOWS if aggregate.kind == "mean"]
Numbers = dict[str, np.ndarray]


def data_folder() -> Path | None:
    """The folder that DATA names, or None."""
    return Path(os.environ["DATA"]) if os.environ.get("DATA") else None


def transactions(data: Path) -> Path:
    return min(data.glob("transactions-*.parquet"))


def oracle(data: Path) -> pa.Table:
    return pq.read_table(min(data.glob("transaction-windows-*.parquet")))


def until_the_last(data: Path, published: pa.Table) -> pa.Table:
    """The raw transactions up to the last one whose features were published."""
    table = pq.read_table(transactions(data))
    last = table.filter(pa.compute.equal(table["transaction_id"], pa.compute.max(published["transaction_id"])))
    return table.filter(pa.compute.less_equal(table["occurred_at"], last["occurred_at"][0]))


def columns(table: pa.Table) -> Columns:
    """Raw transactions as the columns of events, and their labels, each known after a week."""
    at = table["occurred_at"].to_numpy().astype("datetime64[us]").astype(np.int64)
    ids = {"transaction_id": "event_id", "customer_id": "customer_id", "terminal_id": "terminal_id"}
    raws = {raw(ours): table[theirs].to_numpy().astype(np.int64) for theirs, ours in ids.items()}
    label = table["is_fraud"].to_numpy()
    return {**raws, "occurred_at": at, "amount": table["amount"].to_numpy(), "label": label, "labelled_at": at + WEEK}


def taken(events: Columns, rows: Any) -> dict[str, np.ndarray]:
    return {name: values[rows] for name, values in events.items()}


def in_chunks(events: Columns, size: int) -> Numbers:
    """Every event's numbers when the stream is folded and asked in time order, so many events at a time."""
    history, found = EntityHistory(TRANSACTION), []
    for start in range(0, len(events["occurred_at"]), size):
        chunk = taken(events, slice(start, start + size))
        history.fold_labels(chunk)
        found.append(history.following(chunk))
    return {name: np.concatenate([numbers[name] for numbers in found]) for name in NAMES}


def restarted(events: Columns, folder: Path, restarts: int) -> Numbers:
    """The same, when the history is three times written to a snapshot and another one goes on from it."""
    history, found = EntityHistory(TRANSACTION), []
    store, rows = SnapshotStore(str(folder), TRANSACTION.name), len(events["occurred_at"])
    for life, part in enumerate(np.array_split(np.arange(rows), restarts + 1)):
        for start in range(0, len(part), 4096):
            chunk = taken(events, part[start : start + 4096])
            history.fold_labels(chunk)
            found.append(history.following(chunk))
        copied = copies(history, 100_000)
        written = [store.add(f"life-{life}", n, name, [rows]) for n, (name, rows) in enumerate(copied)]
        bound, history = history.bound, EntityHistory(TRANSACTION)
        for file in written:
            history.adopt(file.timeline, store.part(f"life-{life}", file))
        history.bound = bound
    return {name: np.concatenate([numbers[name] for numbers in found]) for name in NAMES}


def shuffled(events: Columns, seed: int) -> Numbers:
    """The same, when each event comes up to ten minutes late, and is asked when the newest is ten minutes past it.

    A twentieth of the events come twice.
    """
    random, rows = np.random.default_rng(seed), np.arange(len(events["occurred_at"]))
    rows = np.concatenate([rows, random.choice(rows, len(rows) // 20)])
    at = events["occurred_at"]
    came = at[rows] + random.integers(0, 10 * MINUTE, len(rows))
    order = np.argsort(came, kind="stable")
    history, asked = EntityHistory(TRANSACTION), 0
    found = {name: np.empty(len(at)) for name in NAMES}
    for part in np.array_split(order, len(order) // 3000 + 1):
        arrived = taken(events, rows[part])
        history.fold(history.read(arrived))
        history.fold_labels(arrived)
        until = int(np.searchsorted(at, came[part[-1]] - 10 * MINUTE)) if part[-1] != order[-1] else len(at)
        numbers = history.query(history.read(taken(events, slice(asked, until))))
        for name in NAMES:
            found[name][asked:until] = numbers[name]
        asked = until
        history.trim(int(at[min(asked, len(at) - 1)]), len(part))
    return found


def differences(found: Numbers, published: pa.Table) -> dict[str, float]:
    """The largest difference of each published column."""
    return {name: float(np.abs(found[name] - published[name].to_numpy()).max()) for name in NAMES}


def from_the_command(path: Path, out: Path, published: pa.Table) -> Numbers:
    """What `streamscore features` writes of the published transactions."""
    run_command("streamscore", "features", path, out, "--event-type", "examples.handbook:TRANSACTION")
    table = pq.read_table(out, columns=["event_id", *NAMES])
    order = np.argsort(table["event_id"].to_numpy())
    rows = order[np.searchsorted(table["event_id"].to_numpy(), published["transaction_id"].to_numpy(), sorter=order)]
    assert np.array_equal(table["event_id"].to_numpy()[rows], published["transaction_id"].to_numpy())
    return {name: table[name].to_numpy()[rows] for name in NAMES}


def unequal(one: Numbers, other: Numbers) -> int:
    """How many numbers are not bit for bit the same."""
    return sum(int((one[name].view(np.int64) != other[name].view(np.int64)).sum()) for name in NAMES)


def rows(folder: Path) -> list[Row]:
    """The oracle and the two ways of arrival; SystemExit when DATA is not given."""
    data = data_folder()
    if not data:
        raise SystemExit("windows needs the public data sets: make evidence ONLY=windows DATA=folder")
    published = oracle(data)
    found = from_the_command(transactions(data), folder / "features.parquet", published)
    largest = differences(found, published)
    events = columns(until_the_last(data, published))
    plain = in_chunks(events, 4096)
    at = np.searchsorted(events[raw("event_id")], published["transaction_id"].to_numpy())
    return [
        Row("windows: published rows", published.num_rows, "events", ">= 162838"),
        Row("windows: wrong counts and risks", sum(largest[n] > 0 for n in NAMES if n not in MEANS), "columns", "== 0"),
        Row("windows: largest difference of a mean", max(largest[name] for name in MEANS), "amount", "<= 1e-9"),
        Row("windows: numbers that the command gives otherwise", unequal(taken(plain, at), found), "", "== 0"),
        Row("windows: numbers changed by chunks of 1,000", unequal(in_chunks(events, 1000), plain), "", "== 0"),
        Row("windows: numbers changed by three restarts", unequal(restarted(events, folder, 3), plain), "", "== 0"),
        Row(
            "windows: numbers changed by arrival up to 10 minutes late", unequal(shuffled(events, 1), plain), "", "== 0"
        ),
    ]
