"""Rows of any order as rows in the order of time and id, in bounded memory: sorted runs on disk, merged."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from streamscore.core.history.identity import LONGEST_TEXT, sortable

# What a run holds at most: of short rows so many, of long ones so many bytes.
RUN_ROWS, RUN_BYTES = 1 << 19, 256 << 20
CHUNK = 8192
# What rows are sorted by, where `key` is their id in the order in which history has ids; then by their place in
# Kafka, of rows that have one.
ORDER = ("at", "key", "kafka_topic", "kafka_partition", "kafka_offset")


class _Run(NamedTuple):
    """The rest of a sorted run: what is in memory, and what is not read yet."""

    rows: pa.Table
    unread: Iterator[pa.Table]


def in_order(tables: Iterable[pa.Table], folder: Path) -> Iterator[pa.Table]:
    """All rows of tables with the columns `at` (int64) and `event_id`, oldest first, equal times by id.

    Runs are kept in `folder` while it lasts, unless all rows fit into one. Equal keys keep the order they came in
    within a run; with the columns of `ORDER` that tell their place in Kafka, they come by that. Memory is that of one
    run, or of one chunk of each.
    """
    runs: list[Path] = []
    gathered: list[pa.Table] = []
    for table in tables:
        if not table.num_rows:
            continue
        gathered.append(_keyed(table))
        if sum(t.num_rows for t in gathered) >= RUN_ROWS or sum(t.nbytes for t in gathered) >= RUN_BYTES:
            runs.append(_written(gathered, folder / f"{len(runs)}.parquet"))
            gathered = []
    if runs:
        if gathered:
            runs.append(_written(gathered, folder / f"{len(runs)}.parquet"))
        for chunk in _merged([_Run(next(chunks), chunks) for chunks in map(_read, runs)]):
            yield chunk.drop_columns(["key"])
    elif gathered:
        rows = _sorted(gathered).drop_columns(["key"])
        yield from (rows.slice(start, CHUNK) for start in range(0, rows.num_rows, CHUNK))


def up_to(tables: Iterator[pa.Table]) -> Callable[[int], list[pa.Table]]:
    """The function that takes, of tables that `in_order` gives, the rows up to a time that it has not given yet."""
    left = [next(tables, None)]

    def taken(time: int) -> list[pa.Table]:
        found = []
        while (table := left[0]) is not None:
            count = int(np.searchsorted(table["at"].to_numpy(), time, side="right"))
            if count:
                found.append(table.slice(0, count))
            left[0] = table.slice(count) if count < table.num_rows else next(tables, None)
            if count < table.num_rows:
                break
        return found

    return taken


def _keyed(table: pa.Table) -> pa.Table:
    """With the column `key`: ids, and of texts their bytes; of those that history shortens what it makes of them."""
    ids = table["event_id"]
    if pa.types.is_integer(ids.type):
        return table.append_column("key", ids)
    key = ids.cast(pa.binary())
    if pc.max(pc.binary_length(key)).as_py() > LONGEST_TEXT:
        key = pa.chunked_array([pa.array(map(sortable, ids.to_pylist()), pa.binary())])
    return table.append_column("key", key)


def _sorted(tables: list[pa.Table]) -> pa.Table:
    rows = pa.concat_tables(tables).combine_chunks()
    return rows.sort_by([(name, "ascending") for name in _order(rows)])


def _order(rows: pa.Table) -> list[str]:
    return [name for name in ORDER if name in rows.column_names]


def _written(tables: list[pa.Table], path: Path) -> Path:
    pq.write_table(_sorted(tables), path, compression="lz4", row_group_size=CHUNK)
    return path


def _read(path: Path) -> Iterator[pa.Table]:
    file = pq.ParquetFile(path)
    return (file.read_row_group(number) for number in range(file.num_row_groups))


def _merged(runs: list[_Run]) -> Iterator[pa.Table]:
    """Up to the smallest last key in memory nothing unread can come between; that run is then read on."""
    while runs:
        bound = min(_last(run.rows) for run in runs)
        counts = [_up_to(run.rows, bound) for run in runs]
        yield _sorted([run.rows.slice(0, count) for run, count in zip(runs, counts, strict=True)])
        left = [_Run(run.rows.slice(count), run.unread) for run, count in zip(runs, counts, strict=True)]
        runs = [run for run in map(_filled, left) if run.rows.num_rows]


def _filled(run: _Run) -> _Run:
    """A run with rows in memory, if it has any left."""
    return run if run.rows.num_rows else _Run(next(run.unread, run.rows), run.unread)


def _last(rows: pa.Table) -> tuple[Any, ...]:
    return tuple(rows[name][-1].as_py() for name in _order(rows))


def _up_to(rows: pa.Table, bound: tuple[Any, ...]) -> int:
    """How many of sorted rows have a key up to a bound."""
    at = rows["at"].to_numpy()
    first, end = (int(np.searchsorted(at, bound[0], side=side)) for side in ("left", "right"))
    rest = [rows[name].slice(first, end - first).to_pylist() for name in _order(rows)[1:]]
    return first + bisect_right(list(zip(*rest, strict=True)), bound[1:])
