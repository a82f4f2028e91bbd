"""Rows of a dataset on disk: a dataset larger than memory is written as it arrives and read in parts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


class StoredEvents:
    """Archived events, read by row number."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        groups = [self._file.metadata.row_group(n).num_rows for n in range(self._file.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(groups)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, rows: np.ndarray, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows with these ascending numbers; all columns, or those named."""
        group = np.searchsorted(self._starts, rows, side="right") - 1
        parts = [
            self._file.read_row_group(int(number), columns).take(rows[group == number] - self._starts[number])
            for number in np.unique(group)
        ]
        return pa.concat_tables(parts) if parts else self._file.schema_arrow.empty_table()


class RowWriter:
    """Write rows to disk: events, and a feature matrix float32 (rows, width) beside them."""

    def __init__(self, folder: Path, schema: pa.Schema, width: int) -> None:
        self._folder, self._width, self._rows = folder, width, 0
        self._matrix = (folder / "matrix").open("wb")
        self._events = pq.ParquetWriter(folder / "rows.parquet", schema, compression="lz4")

    def add(self, events: pa.Table, matrix: np.ndarray) -> None:
        if events.num_rows:
            self._events.write_table(events)
            self._matrix.write(np.ascontiguousarray(matrix, np.float32).tobytes())
            self._rows += events.num_rows

    def __enter__(self) -> "RowWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._events.close()
        self._matrix.close()

    def read(self) -> tuple[StoredEvents, np.ndarray]:
        """The written rows, once the writer is closed. The matrix is memory-mapped and takes only free memory."""
        shape = (self._rows, self._width)
        mapped = np.memmap(self._folder / "matrix", np.float32, "r", shape=shape) if self._rows else np.empty(shape)
        return StoredEvents(self._folder / "rows.parquet"), mapped
