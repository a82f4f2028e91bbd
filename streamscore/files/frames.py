"""Rows in memory as wire JSON: a pandas DataFrame, a pyarrow Table, or mappings.

Each value becomes what the same value of a parquet file becomes, by `json_values`. So the Python API and
`streamscore score` read an event alike. What is wrong with a row travels in it, and decoding says what it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.batch import SHAPES
from streamscore.errors import DataError
from streamscore.files.json_values import json_values
from streamscore.files.read import row_encoder, value_types

# The largest batch a model is compiled for. With batches of this size `streamscore score` gives the same bits.
CHUNK = SHAPES[-1]

Rows: TypeAlias = pd.DataFrame | pa.Table | Iterable[Mapping[str, Any]]
HeldRows: TypeAlias = pd.DataFrame | pa.Table | Sequence[Mapping[str, Any]]
# What pyarrow raises for values that no column of it can hold, such as complex numbers or lone surrogates.
UNFIT = (pa.ArrowException, TypeError, ValueError, OverflowError)
# No field takes a list, so decoding refuses the row and nothing of the value leaks into the error.
NO_FIELD_TAKES: list[Any] = []
_encodes = msgspec.json.Encoder(decimal_format="number").encode


def held(rows: Rows) -> HeldRows:
    """The rows in a form that can be read twice. TypeError for anything but a frame, a table or rows."""
    if isinstance(rows, pd.DataFrame | pa.Table):
        return rows
    if isinstance(rows, Mapping | str | bytes) or not isinstance(rows, Iterable):
        kind = type(rows).__name__
        raise TypeError(f"events are a DataFrame, a pyarrow Table or an iterable of mappings, not a {kind}")
    return rows if isinstance(rows, Sequence) else list(rows)


def index_of(rows: HeldRows) -> pd.Index:
    """A frame's own index; row numbers from 0 for everything else."""
    return rows.index if isinstance(rows, pd.DataFrame) else pd.RangeIndex(len(rows))


def frame_lines(event_type: EventType, rows: HeldRows, chunk: int = CHUNK) -> Iterator[list[bytes]]:
    """The rows as wire JSON, up to `chunk` at a time. DataError when a frame has a declared column twice.

    A declared column that is not there is missing in each row. Columns that are not declared are left out.
    """
    read = _reader_of(event_type, rows)
    encode, types = row_encoder(event_type.fields), value_types(event_type)
    for start in range(0, len(rows), chunk):
        part = _part(rows, start, chunk)
        columns = [read(part, field.wire_name, types[field.name]) for field in event_type.fields]
        lines = list(map(encode, *columns))
        if isinstance(part, Sequence):
            lines = [line if isinstance(row, Mapping) else b"[]" for line, row in zip(lines, part, strict=True)]
        yield lines


def _reader_of(event_type: EventType, rows: HeldRows) -> Callable[[Any, str, type], list[Any]]:
    """The function that gives a declared column of some rows, as values that JSON has."""
    if not isinstance(rows, pd.DataFrame | pa.Table):
        return _mapping_values
    names = list(rows.columns) if isinstance(rows, pd.DataFrame) else rows.column_names
    for field in event_type.fields:
        if names.count(field.wire_name) > 1:
            raise DataError(
                f"the events have {names.count(field.wire_name)} columns {field.wire_name!r}; one is needed"
            )
    return _frame_values if isinstance(rows, pd.DataFrame) else _table_values


def _part(rows: Any, start: int, count: int) -> Any:
    if isinstance(rows, pa.Table):
        return rows.slice(start, count)
    return rows.iloc[start : start + count] if isinstance(rows, pd.DataFrame) else rows[start : start + count]


def _frame_values(frame: Any, name: str, kind: type) -> list[Any]:
    if name not in frame.columns:
        return [msgspec.UNSET] * len(frame)
    series = frame[name]
    if series.dtype == object:
        return object_values(series.tolist(), kind)
    try:
        return _array_values(pa.array(series, from_pandas=True), kind)
    except UNFIT:  # a period, an interval, a complex number
        return object_values(series.tolist(), kind)


def _table_values(table: Any, name: str, kind: type) -> list[Any]:
    if name not in table.column_names:
        return [msgspec.UNSET] * len(table)
    column = table.column(name)
    try:
        return _array_values(column, kind)
    except UNFIT:  # one value that is not UTF-8 must not spoil its neighbours
        return [_or_unfit(_scalar_value, column.slice(row, 1), kind) for row in range(len(column))]


def _scalar_value(one: Any, kind: type) -> Any:
    return _array_values(one, kind)[0]


def _mapping_values(rows: Any, name: str, kind: type) -> list[Any]:
    return object_values([row.get(name, msgspec.UNSET) if isinstance(row, Mapping) else None for row in rows], kind)


def _array_values(array: pa.Array | pa.ChunkedArray, kind: type) -> list[Any]:
    return json_values(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array, kind)


def object_values(values: Sequence[Any], kind: type) -> list[Any]:
    """Python objects as `json_values` gives them; UNSET stays.

    Objects of one class are converted together, so what becomes of a value never depends on its neighbours.
    """
    found: list[Any] = list(values)
    rows_of: dict[type, list[int]] = {}
    for row, value in enumerate(values):
        rows_of.setdefault(type(value), []).append(row)
    rows_of.pop(msgspec.UnsetType, None)
    for cls, rows in rows_of.items():
        for row, value in zip(rows, _of_one_class(cls, [values[row] for row in rows], kind), strict=True):
            found[row] = value
    return found


def _of_one_class(cls: type, values: list[Any], kind: type) -> list[Any]:
    if cls is np.datetime64:
        values = [pd.Timestamp(value) for value in values]
    try:
        return _array_values(pa.array(values, from_pandas=True), kind)
    except UNFIT:
        return [_or_unfit(_alone, value, kind) for value in values]


def _alone(value: Any, kind: type) -> Any:
    """One value; as it is where JSON knows it and pyarrow does not."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    try:
        return _array_values(pa.array([value], from_pandas=True), kind)[0]
    except UNFIT:
        _encodes(value)
        return value


def _or_unfit(convert: Callable[[Any, type], Any], value: Any, kind: type) -> Any:
    try:
        return convert(value, kind)
    except UNFIT:
        return NO_FIELD_TAKES
