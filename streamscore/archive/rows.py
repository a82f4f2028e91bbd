"""From records to rows of the archive's tables: events, labels, scores, and what could not be read.

    records → decoded → rows by table: each record is in exactly one

A row holds the coordinates of its record, the date by which its table is partitioned, and the fields
under their own names.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamscore.archive.delta import ARCHIVED_AT, DATE
from streamscore.archive.plain.rows import Sorted, sorter
from streamscore.archive.schemas import KAFKA_FIELDS, schemas
from streamscore.core.events.decode import DeadLetter, Entry, Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import microseconds
from streamscore.core.events.label import decode_labels, label_type
from streamscore.core.events.record import Record
from streamscore.errors import SettingsError
from streamscore.files.output import TIME

# By the place of their table below the archive's URL.
Rows = dict[str, pa.Table]
ToRows = Callable[[Sequence[Record], datetime], Rows]
Fields = Callable[[Sequence[Any]], Iterable[Sequence[Any]]]

# A Delta table keeps times in microseconds.
KAFKA_COLUMNS = [field if field.name != "kafka_timestamp" else field.with_type(TIME) for field in KAFKA_FIELDS]
OWN = [*KAFKA_COLUMNS, DATE]
REFUSED = pa.schema(
    [
        *OWN,
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        *(pa.field(name, pa.string()) for name in DeadLetter.__struct_fields__),
    ]
)
UNFIT = DeadLetter("out_of_range", "", "a value that its column in the archive does not hold")
# Times that `decode` found to lie between 1970 and the clock; others are converted with more care.
CHECKED_TIMES = {"occurred_at", "labelled_at"}

_place = attrgetter("topic", "partition", "offset", "timestamp")


class TableMapper(NamedTuple):
    """A table of decoded records: its place, its schema, and the function from what was decoded to its fields."""

    place: str
    schema: pa.Schema
    fields: Fields

    @property
    def fields_schema(self) -> pa.Schema:
        """The columns that are fields of what was decoded."""
        return pa.schema(list(self.schema)[len(OWN) :])

    def rows(self, entries: Sequence[Entry], now: datetime) -> tuple[pa.Table, list[Entry]]:
        """Entries as rows, and as refused those whose values no column holds; the others are none the worse for it."""
        try:
            return self._table(entries, now), []
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            if len(entries) == 1:
                return self.schema.empty_table(), [Entry(entries[0].record, None, -1.0, UNFIT)]
        middle = len(entries) // 2
        parts = [self.rows(entries[:middle], now), self.rows(entries[middle:], now)]
        return pa.concat_tables([rows for rows, _ in parts]), [entry for _, refused in parts for entry in refused]

    def _table(self, entries: Sequence[Entry], now: datetime) -> pa.Table:
        if not entries:
            return self.schema.empty_table()
        fields = self.fields_schema
        values = self.fields([entry.event for entry in entries])
        columns = [_column(field, found) for field, found in zip(fields, values, strict=True)]
        return pa.table([*_own([entry.record for entry in entries], now), *columns], self.schema)


def event_rows(event_type: EventType, limits: Limits) -> ToRows:
    """The function from records of a topic of events to rows of that type's `events` and `refused`."""
    sheet = _sheet(event_type, "events", schemas(event_type).events)
    sort = sorter(event_type, sheet.fields_schema, limits, ["occurred_at"])

    def rows(records: Sequence[Record], now: datetime) -> Rows:
        plain = sort(records, now)
        return _rows(event_type, sheet, plain, decode(event_type, plain.others, now, limits), now)

    return rows


def label_rows(event_type: EventType, limits: Limits) -> ToRows:
    """The function from records of a topic of labels to rows of that type's `labels` and `refused`."""
    labels, sheet = label_type(event_type), _sheet(event_type, "labels", schemas(event_type).labels)
    sort = sorter(labels, sheet.fields_schema, limits, ["occurred_at", "labelled_at"])

    def rows(records: Sequence[Record], now: datetime) -> Rows:
        plain = sort(records, now)
        return _rows(event_type, sheet, plain, decode_labels(labels, plain.others, now, limits), now)

    return rows


def own_schema(event_type: EventType, fields: Iterable[pa.Field]) -> pa.Schema:
    """A table's schema; SettingsError when one of its fields has the name of one of the archive's own columns."""
    given = list(fields)
    taken = {field.name for field in given} & {field.name for field in (*OWN, ARCHIVED_AT)}
    if taken:
        raise SettingsError(f"{event_type.name} events: {', '.join(sorted(taken))} is a column of the archive itself")
    return pa.schema([*OWN, *given])


def refused_rows(entries: Sequence[Entry], now: datetime) -> pa.Table:
    """Records that are no events, as bytes and with the reason."""
    records = [entry.record for entry in entries]
    reasons = [entry.dead_letter or UNFIT for entry in entries]
    words = [[getattr(reason, name) for reason in reasons] for name in DeadLetter.__struct_fields__]
    columns = [[record.key for record in records], [record.value for record in records], *words]
    fields = list(REFUSED)[len(OWN) :]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, fields, strict=True)]
    return pa.table([*_own(records, now), *arrays], REFUSED)


def _sheet(event_type: EventType, name: str, archived: pa.Schema) -> TableMapper:
    schema = own_schema(event_type, list(archived)[len(KAFKA_FIELDS) :])
    values = attrgetter(*schema.names[len(OWN) :])
    return TableMapper(f"{event_type.name}/{name}", schema, lambda events: zip(*map(values, events), strict=True))


def _rows(event_type: EventType, sheet: TableMapper, plain: Sorted, entries: Sequence[Entry], now: datetime) -> Rows:
    rows, unfit = sheet.rows([entry for entry in entries if entry.dead_letter is None], now)
    if plain.records:
        rows = pa.concat_tables([pa.table([*_own(plain.records, now), *plain.columns], sheet.schema), rows])
    refused = [entry for entry in entries if entry.dead_letter is not None] + unfit
    return {sheet.place: rows} | ({f"{event_type.name}/refused": refused_rows(refused, now)} if refused else {})


def _own(records: Sequence[Record], now: datetime) -> list[pa.Array]:
    """The coordinates of records, and the date of each: its Kafka timestamp's, or today where it has none."""
    topics, partitions, offsets, timestamps = zip(*map(_place, records), strict=True) if records else ((),) * 4
    millis = np.array(timestamps, np.int64)
    stamps = pa.array(millis * 1000, TIME, mask=millis < 0)
    dates = pc.fill_null(stamps.cast(DATE.type), now.astimezone(UTC).date())
    found = (topics, partitions, offsets)
    own = [pa.array(values, field.type) for values, field in zip(found, KAFKA_COLUMNS[:3], strict=True)]
    return [*own, stamps, dates]


def _column(field: pa.Field, values: Sequence[Any]) -> pa.Array:
    if field.name in CHECKED_TIMES:
        return pa.array(microseconds(values), field.type)  # half the time of Arrow's own conversion
    return pa.array(values, field.type)
