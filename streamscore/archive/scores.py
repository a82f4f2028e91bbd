"""Published scores as rows: each event type has a table of its own, and what no type claims is refused."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from streamscore.archive.rows import Rows, TableMapper, ToRows, own_schema, refused_rows
from streamscore.archive.schemas import schemas
from streamscore.core.events.decode import DeadLetter, Entry
from streamscore.core.events.event_type import EventType
from streamscore.core.events.record import Record
from streamscore.files.output import TIME

# The table of records that are a score of no event type.
UNCLAIMED = "refused"
NO_SCORE = DeadLetter("wrong_type", "", "not a score")
NO_TYPE = DeadLetter("unknown_value", "event_type", "a score of an event type that no input has")

PLAIN = [
    pa.field("score_id", pa.string()),
    pa.field("risk", pa.float64()),
    pa.field("decision", pa.string()),
    pa.field("model", pa.string()),
    # Under other names than in the score, or they would pass for the coordinates of the score itself.
    pa.field("input_topic", pa.string()),
    pa.field("input_partition", pa.int32()),
    pa.field("input_offset", pa.int64()),
    pa.field("occurred_at", TIME),
    pa.field("scored_at", TIME),
    pa.field("duplicate", pa.bool_()),
    pa.field("history_complete_since", TIME),
]
NESTED = [pa.field("reasons", pa.string()), pa.field("features", pa.string())]
NOTHING = msgspec.Raw(b"")

# From a record that was read, and the names of its event type's entities, to a row's values.
Values = Callable[[Any, Sequence[str]], tuple[Any, ...]]


class PublishedScore(msgspec.Struct, frozen=True, gc=False):
    """`core.decision.Score` as it is read back: what is nested stays the JSON that it is."""

    score_id: str
    event_id: str | int
    event_type: str
    entities: dict[str, str | int]
    risk: float
    decision: str
    model: str
    topic: str
    partition: int
    offset: int
    occurred_at: datetime
    scored_at: datetime
    reasons: msgspec.Raw = NOTHING
    duplicate: bool = False
    history_complete_since: datetime | None = None
    features: msgspec.Raw = NOTHING


def score_rows(event_types: Sequence[EventType]) -> ToRows:
    """The function from records of the topic of scores to rows of each type's `scores`, and of `refused`."""
    return claimed_rows(
        PublishedScore, {e.name: own_sheet(e, "scores", [*PLAIN, *NESTED], _values) for e in event_types}
    )


def claimed_rows(kind: type[Any], sheets: Mapping[str, TableMapper]) -> ToRows:
    """The function from records that are of a kind, to the sheet of the event type that each names, or to `refused`."""
    parse = msgspec.json.Decoder(kind).decode

    def rows(records: Sequence[Record], now: datetime) -> Rows:
        entries: dict[str, list[Entry]] = {name: [] for name in sheets}
        refused: list[Entry] = []
        for record in records:
            try:
                score = parse(record.value or b"")
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                refused.append(Entry(record, None, -1.0, NO_SCORE))
                continue
            entry = Entry(record, score, 0.0, None if score.event_type in entries else NO_TYPE)
            entries.get(score.event_type, refused).append(entry)
        found: Rows = {}
        for name, sheet in sheets.items():
            if entries[name]:
                found[sheet.place], unfit = sheet.rows(entries[name], now)
                refused += unfit
        return found | {UNCLAIMED: refused_rows(refused, now)}

    return rows


def own_sheet(event_type: EventType, table: str, own: Sequence[pa.Field], values: Values) -> TableMapper:
    """The sheet of a table of an event type: the event's id, fields of the table's own, and entities, by `values`."""
    events = schemas(event_type).events
    ids = [events.field(name) for name in dict.fromkeys(("event_id", *event_type.entities))]
    entities = [field.name for field in ids[1:]]

    def fields(scores: Sequence[Any]) -> Iterable[Sequence[Any]]:
        return zip(*(values(score, entities) for score in scores), strict=True)

    return TableMapper(f"{event_type.name}/{table}", own_schema(event_type, [ids[0], *own, *ids[1:]]), fields)


def _values(score: PublishedScore, entities: Sequence[str]) -> tuple[Any, ...]:
    return (
        score.event_id,
        score.score_id,
        score.risk,
        score.decision,
        score.model,
        score.topic,
        score.partition,
        score.offset,
        score.occurred_at,
        score.scored_at,
        score.duplicate,
        score.history_complete_since,
        _json(score.reasons),
        _json(score.features),
        *map(score.entities.get, entities),
    )


def _json(value: msgspec.Raw) -> str | None:
    return bytes(value).decode() or None
