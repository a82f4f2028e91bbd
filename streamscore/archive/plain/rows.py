"""Records of plainly written events as columns, many at a time; the others are left to `decode`."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamscore.archive.plain.fields import plan
from streamscore.archive.plain.parser import Plain, read
from streamscore.core.events.decode import Limits
from streamscore.core.events.event_type import EventType
from streamscore.core.events.record import Record
from streamscore.core.history.compiled import compiled


class Sorted(NamedTuple):
    """The records whose event is plain, its fields as columns in the order asked for, and all other records."""

    records: Sequence[Record]
    columns: list[pa.Array]
    others: Sequence[Record]


Sort = Callable[[Sequence[Record], datetime], Sorted]


def sorter(event_type: EventType, schema: pa.Schema, limits: Limits, past: Sequence[str]) -> Sort:
    """The function that reads what is plain of records into columns of a schema; `past` are times not in the future."""
    how = plan(event_type.struct)
    if how is None:
        return lambda records, _: Sorted([], [], records)
    names = [field.name for field in event_type.fields]
    asked = [(names.index(field.name), event_type.fields[names.index(field.name)], field.type) for field in schema]

    def sort(records: Sequence[Record], now: datetime) -> Sorted:
        data, found = read(how, [record.value or b"" for record in records])
        found.rows[:] &= _fit(records, limits)
        for name in past:
            found.rows[:] &= found.whole[names.index(name)] / 1e6 <= now.timestamp() + limits.max_future
        columns = [_column(data, found, number, kind) for number, _, kind in asked]
        for (_, field, _), values in zip(asked, columns, strict=True):
            if field.closed:
                known = pc.or_(pc.is_in(values, pa.array(list(field.codes), values.type)), pc.is_null(values))
                found.rows[:] &= known.to_numpy(zero_copy_only=False)
        if found.rows.all():
            return Sorted(records, columns, [])
        plain = pa.array(found.rows)
        ours = [record for record, is_plain in zip(records, found.rows.tolist(), strict=True) if is_plain]
        others = [record for record, is_plain in zip(records, found.rows.tolist(), strict=True) if not is_plain]
        return Sorted(ours, [values.filter(plain) for values in columns], others)

    return sort


def _fit(records: Sequence[Record], limits: Limits) -> np.ndarray:
    """bool (rows,): what `decode` looks at besides a value's content."""
    sizes = np.array([len(record.value or b"") + len(record.key or b"") for record in records], np.int64)
    return (sizes <= limits.max_bytes) & ~np.array([record.unreadable for record in records], np.bool_)


def _column(data: np.ndarray, found: Plain, number: int, kind: pa.DataType) -> pa.Array:
    """A field's values in all rows; what it is in a row that is not plain is of no account."""
    there = found.there[number] & found.rows
    missing = None if there.all() else ~there
    if pa.types.is_string(kind):
        return _texts(data, found.whole[number], np.where(there, found.length[number], 0), missing)
    if pa.types.is_floating(kind):
        return pa.array(found.number[number], kind, mask=missing)
    if pa.types.is_boolean(kind):
        return pa.array(found.whole[number] != 0, kind, mask=missing)
    return pa.array(found.whole[number], kind, mask=missing)


def _texts(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray, missing: np.ndarray | None) -> pa.Array:
    offsets = np.zeros(len(starts) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    joined = np.empty(offsets[-1], np.uint8)
    _gather(data, starts, offsets, joined)
    there = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    buffers = [there, pa.py_buffer(offsets), pa.py_buffer(joined)]
    return pa.Array.from_buffers(pa.string(), len(starts), buffers)


@compiled
def _gather(data: np.ndarray, starts: np.ndarray, offsets: np.ndarray, joined: np.ndarray) -> None:
    """Copy each text to where it belongs."""
    for row in range(len(starts)):
        start, first = starts[row], offsets[row]
        for k in range(offsets[row + 1] - first):
            joined[first + k] = data[start + k]
