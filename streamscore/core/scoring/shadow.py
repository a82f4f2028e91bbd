"""What a challenger says of events that the champion has scored: its risk beside the champion's, and no decision."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np

from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.decision import Message, rounded
from streamscore.core.scoring.pipeline import Prepared

_encode_lines = msgspec.json.Encoder().encode_lines


class ShadowScore(msgspec.Struct, frozen=True, gc=False):
    """The published risk of a challenger. `score_id` is that of the champion's score of the same event."""

    score_id: str
    event_id: str | int
    event_type: str
    entities: Any
    risk: float
    champion_risk: float
    model: str
    champion: str
    topic: str
    partition: int
    offset: int
    occurred_at: datetime
    scored_at: datetime


class Scored(NamedTuple):
    """A batch that is scored: by which champion, and the risks that it gave, float32 (events,)."""

    champion: Bundle
    prepared: Prepared
    risks: np.ndarray


def challenged(challenger: Bundle, batch: Scored) -> np.ndarray:
    """The challenger's risks of a batch, float32 (events,), from the columns that are there already."""
    champion, prepared, _ = batch
    if challenger.features == champion.features:
        return challenger.scorer.risks(prepared.matrix)
    return challenger.scorer.risks(challenger.features.matrix(prepared.columns, len(prepared.valid)))


def shadow_messages(
    challenger: Bundle, batch: Scored, risks: np.ndarray, now: datetime, rows: slice = slice(None)
) -> list[Message]:
    """One message for each event, or for some rows of them, with its record's key."""
    champion, prepared, theirs = batch
    event_type, version, before = champion.event_type, challenger.manifest.version, champion.manifest.version
    entries, entities = prepared.valid[rows], event_type.entities_of
    # With fewer risks than events these would be those of other events.
    both = zip(entries, rounded(risks[rows]), rounded(theirs[rows]), strict=True)
    scores = []
    for entry, risk, champion_risk in both:
        record = entry.record
        event: Any = entry.event  # of each that is valid there is one
        scores.append(
            ShadowScore(
                score_id=f"{record.topic}-{record.partition}-{record.offset}",
                event_id=event.event_id,
                event_type=event_type.name,
                entities=entities(event),
                risk=risk,
                champion_risk=champion_risk,
                model=version,
                champion=before,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                occurred_at=event.occurred_at,
                scored_at=now,
            )
        )
    lines = _encode_lines(scores).split(b"\n")
    return [Message(entry.record.key, line, None) for entry, line in zip(entries, lines, strict=False)]
