"""Files that are whole or not there, and columns as tables."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from streamscore.errors import DataError

TIME = pa.timestamp("us", "UTC")


ARROW_TYPES = {datetime: TIME, str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def table(schema: pa.Schema, columns: Mapping[str, Any]) -> pa.Table:
    """Columns by name as a table: None and NaN become null, integers in a column of times count its unit.

    DataError when a column does not fit its type.
    """
    try:
        return pa.table([pa.array(columns[field.name], field.type, from_pandas=True) for field in schema], schema)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        # Which value it was is not said: it may be a card number.
        raise DataError(f"values do not fit the columns {schema.names}") from None


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its place at `path` when all of it is written; after an error nothing is left, no new folder.

    DataError when it cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()
        with suppress(OSError):  # of folders that are not empty
            for folder in made:
                folder.rmdir()
