"""The events of a file, each as of its own time, by the history that serves live events; and their features.

rows of any order → runs in event time → labels known by then → fold and query
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streamscore.core.events.event_type import EventType
from streamscore.errors import DataError
from streamscore.files.as_of import PROGRESS_EVERY, AsOf, OnProgress, Reader, Source
from streamscore.files.output import ARROW_TYPES, whole_file
from streamscore.files.read import value_types


class Summary(NamedTuple):
    """How many rows were written, how many of them were repetitions, and how many rows were refused."""

    written: int
    repeated: int
    refused: int
    labels: int


def write_features(event_type: EventType, source: Source, out: Path, told: OnProgress) -> Summary:
    """Write `event_id` and a float64 column for each feature, null where it is missing, in event-time order.

    DataError as a `Reader` raises it, and when `out` cannot be written.
    """
    if out.suffix.lower() != ".parquet":
        raise DataError(f"{out}: expected a file named .parquet")
    reader, schema, written = Reader(event_type, source, told), _schema(event_type), 0
    with whole_file(out) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for chunk in reader.chunks():
            writer.write_table(_table(event_type, chunk, schema))
            count = written + len(chunk.events)
            if count // PROGRESS_EVERY > written // PROGRESS_EVERY:
                told(f"{out.name}: {count:,} of {reader.read - reader.refused:,} rows written")
            written = count
        reader.check_labels()
    tally = reader.history.tally
    return Summary(written, tally.duplicates, reader.refused, tally.labels)


def _schema(event_type: EventType) -> pa.Schema:
    features = [(name, pa.float64()) for name in event_type.features.names]
    return pa.schema([("event_id", ARROW_TYPES[value_types(event_type)["event_id"]]), *features])


def _table(event_type: EventType, chunk: AsOf, schema: pa.Schema) -> pa.Table:
    ids: list[Any] = [getattr(entry.event, "event_id", None) for entry in chunk.events]
    features = event_type.features.values(chunk.columns).values()
    arrays = [pa.array(np.asarray(values, np.float64), from_pandas=True) for values in features]
    return pa.table([pa.array(ids, schema.field(0).type), *arrays], schema)
