"""The archive: a folder of events and labels as parquet, from which models are trained.

`events/*.parquet` holds events with their Kafka coordinates; `labels/*.parquet` holds answers, each
with the time at which it became known. `schemas` says what every writer writes.
"""

from typing import NamedTuple

import pyarrow as pa

from streamscore.core.events.event_type import EventType
from streamscore.files.output import ARROW_TYPES, TIME
from streamscore.files.read import value_types

KAFKA_FIELDS = (
    pa.field("kafka_topic", pa.string()),
    pa.field("kafka_partition", pa.int32()),
    pa.field("kafka_offset", pa.int64()),
    pa.field("kafka_timestamp", pa.timestamp("ms", "UTC")),
)

# Where a row's record was in Kafka: no two rows of a table share it.
COORDINATES = ("kafka_topic", "kafka_partition", "kafka_offset")


class Schemas(NamedTuple):
    """The columns of the files in `events` and of those in `labels`."""

    events: pa.Schema
    labels: pa.Schema


def schemas(event_type: EventType) -> Schemas:
    """What an event type's archive holds: fields under their own names, not the wire's; all may be null."""
    fields = {name: pa.field(name, ARROW_TYPES[kind]) for name, kind in value_types(event_type).items()}
    answer = {"label": pa.field("label", pa.bool_()), "labelled_at": pa.field("labelled_at", TIME)}
    labels = {name: (fields | answer)[name] for name in ("event_id", "occurred_at", *answer, *event_type.entities)}
    return Schemas(pa.schema([*KAFKA_FIELDS, *fields.values()]), pa.schema([*KAFKA_FIELDS, *labels.values()]))
