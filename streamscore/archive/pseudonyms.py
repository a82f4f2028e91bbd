"""The pseudonyms of the settings' key, and the archive's tables once entities have them.

Records that could not be read are kept without their bytes, in which ids stand as they are: these stay in Kafka.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa

from streamscore.archive.rows import Rows, ToRows
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Field
from streamscore.core.events.record import Record
from streamscore.core.privacy.pseudonym import Pseudonyms, pseudonymised

REFUSED = "refused"


def hidden(rows: ToRows, event_types: Mapping[str, EventType], names: Pseudonyms) -> ToRows:
    """The function from records to the same rows, in which entities have their pseudonyms."""

    def renamed_rows(records: Sequence[Record], now: datetime) -> Rows:
        return {place: _hidden(place, table, event_types, names) for place, table in rows(records, now).items()}

    return renamed_rows


def _hidden(place: str, table: pa.Table, event_types: Mapping[str, EventType], names: Pseudonyms) -> pa.Table:
    kind, _, name = place.rpartition("/")
    if name == REFUSED:
        columns = {column: pa.nulls(len(table), table.schema.field(column).type) for column in ("key", "value")}
    else:
        entities = [entity for entity in pseudonymised(event_types[kind]) if entity.name in table.column_names]
        columns = {entity.name: _named(table[entity.name], entity, names) for entity in entities}
    for column, values in columns.items():
        table = table.set_column(table.column_names.index(column), table.schema.field(column), values)
    return table


def _named(ids: pa.ChunkedArray, entity: Field, names: Pseudonyms) -> pa.ChunkedArray:
    """Each different id is hashed once."""
    coded = ids.dictionary_encode().unify_dictionaries().combine_chunks()
    found = names.each(coded.dictionary.to_pylist(), entity.whole)
    return pa.chunked_array([pa.array(found, ids.type).take(coded.indices)])
