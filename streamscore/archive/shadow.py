"""The risks of challengers as rows of a table of each event type's, and those of one pair of models read again."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from streamscore.archive.delta import plain
from streamscore.archive.read import Archive
from streamscore.archive.rows import ToRows
from streamscore.archive.schemas import schemas
from streamscore.archive.scores import claimed_rows, own_sheet
from streamscore.core.events.event_type import EventType
from streamscore.files.output import TIME

SHADOW = "shadow"
RISKS = [pa.field("risk", pa.float64()), pa.field("champion_risk", pa.float64())]
OWN_FIELDS = [
    pa.field("score_id", pa.string()),
    *RISKS,
    pa.field("model", pa.string()),
    pa.field("champion", pa.string()),
    pa.field("input_topic", pa.string()),
    pa.field("input_partition", pa.int32()),
    pa.field("input_offset", pa.int64()),
    pa.field("occurred_at", TIME),
    pa.field("scored_at", TIME),
]


class PublishedShadow(msgspec.Struct, frozen=True, gc=False):
    """`core.shadow.ShadowScore` as it is read back."""

    score_id: str
    event_id: str | int
    event_type: str
    entities: dict[str, str | int]
    risk: float
    champion_risk: float
    model: str
    champion: str
    topic: str
    partition: int
    offset: int
    occurred_at: datetime
    scored_at: datetime


def shadow_rows(event_types: Sequence[EventType]) -> ToRows:
    """The function from records of the topic of challengers' risks to rows of each type's `shadow`, or of `refused`."""
    return claimed_rows(PublishedShadow, {e.name: own_sheet(e, SHADOW, OWN_FIELDS, _values) for e in event_types})


def shadowed(archive: Archive, event_type: EventType, models: tuple[str, str]) -> Iterator[pa.Table]:
    """What a champion and a challenger, in this order, said of the same events: id, time, first entity, both risks.

    Some rows at a time, in no order, and an event that was scored twice is there twice.
    """
    events, (champion, challenger) = schemas(event_type).events, models
    names = dict.fromkeys(("event_id", "occurred_at", event_type.entities[0]))
    pair = (plain(pc.field("champion")) == champion) & (plain(pc.field("model")) == challenger)
    return archive.table(SHADOW, pa.schema([*(events.field(name) for name in names), *RISKS]), pair)


def _values(score: PublishedShadow, entities: Sequence[str]) -> tuple[Any, ...]:
    return (
        score.event_id,
        score.score_id,
        score.risk,
        score.champion_risk,
        score.model,
        score.champion,
        score.topic,
        score.partition,
        score.offset,
        score.occurred_at,
        score.scored_at,
        *map(score.entities.get, entities),
    )
