"""An archive's files as one table of the columns asked for, each of the type that `archive.schemas` gives it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from streamscore.errors import DataError

NAIVE = pa.timestamp("us")
EARLIEST, LATEST = pa.scalar(datetime(1, 1, 1), NAIVE), pa.scalar(datetime.max, NAIVE)  # noqa: DTZ001, DTZ901


def parquet_files(folder: Path) -> list[Path]:
    """The files of a folder that hold rows."""
    return sorted(file for file in folder.glob("*.parquet") if file.name[0] not in "._")


def batches(path: Path, schema: pa.Schema, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """A file as columns of the schema, so many rows at a time; DataError as `table` says."""
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names, columns)
            for batch in file.iter_batches(rows, columns=list(columns)):
                yield _as_schema(path, pa.table(batch), schema, columns)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not parquet, or damaged") from None


def table(folder: Path, schema: pa.Schema, columns: Sequence[str], never_null: Sequence[str]) -> pa.Table:
    """The files of a folder, whatever types they hold, as columns of the schema.

    Times without a zone are UTC, dates midnight UTC. DataError names the file, and the column that cannot be cast.
    """
    files = parquet_files(folder)
    if not files:
        raise DataError(f"{folder} holds no .parquet files")
    found = pa.concat_tables([_read(file, schema, columns) for file in files])
    for name in never_null:
        if found[name].null_count:
            raise DataError(f"{folder}: {name} is missing in {found[name].null_count:,} rows")
    return found


def _read(path: Path, schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            given = file.read([name for name in columns if names.count(name) == 1])
    except (pa.ArrowException, OSError):
        raise DataError(f"{path} is not parquet, or damaged") from None
    _check_columns(path, names, columns)
    return _as_schema(path, given, schema, columns)


def _check_columns(path: Path, names: Sequence[str], columns: Sequence[str]) -> None:
    for name in columns:
        if names.count(name) != 1:
            raise DataError(f"{path} needs one column {name}")


def _as_schema(path: Path, given: pa.Table, schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    wanted = pa.schema([schema.field(name) for name in columns])
    return pa.table([_cast(path, given[field.name], field) for field in wanted], wanted)


def _cast(path: Path, column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """A column as a field's type. What does not fit is not quoted: it may be a card number."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.type == field.type and not pa.types.is_timestamp(field.type):
        return column
    for way in _ways(column.type, field.type):
        try:
            return way(column)
        except pa.ArrowException:
            continue
    raise DataError(f"{path}: {field.name} is {column.type}, and not all of it can be {field.type}")


def _ways(given: pa.DataType, wanted: pa.DataType) -> list[Callable[[pa.ChunkedArray], pa.ChunkedArray]]:
    """How a column of one type may become another; the first that succeeds counts."""
    if pa.types.is_timestamp(wanted):
        return _ways_to_time(given, wanted)
    if pa.types.is_boolean(wanted) and (pa.types.is_integer(given) or pa.types.is_floating(given)):
        return [lambda column: _flags(_without_nan(column))]
    if pa.types.is_floating(given):
        return [lambda column: _without_nan(column).cast(wanted)]
    return [lambda column: column.cast(wanted)]


def _ways_to_time(given: pa.DataType, wanted: pa.DataType) -> list[Callable[[pa.ChunkedArray], pa.ChunkedArray]]:
    if pa.types.is_timestamp(given):
        # A nanosecond is cut off, but a second too many for the microseconds would come out as another time.
        return [lambda column: _in_calendar(column.cast(wanted, safe=given.unit != "ns"))]
    if pa.types.is_date(given):
        return [lambda column: _in_calendar(column.cast(pa.timestamp("s")).cast(wanted))]
    if pa.types.is_string(given) or pa.types.is_large_string(given):
        return [lambda column: _in_calendar(column.cast(wanted)), lambda column: column.cast(NAIVE).cast(wanted)]
    return []  # a number does not say what it counts


def _in_calendar(times: pa.ChunkedArray) -> pa.ChunkedArray:
    plain = times.cast(NAIVE)
    if pc.any(pc.or_(pc.less(plain, EARLIEST), pc.greater(plain, LATEST))).as_py():
        raise pa.ArrowInvalid("a time beyond the calendar")
    return times


def _without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def _flags(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.any(pc.and_(pc.not_equal(column, 0), pc.not_equal(column, 1))).as_py():
        raise pa.ArrowInvalid("a number that is neither 0 nor 1")
    return column.cast(pa.bool_())
