"""The way of a batch: entries in, scores, alerts and dead letters out.

    decode → release in event time (order) → prepare → judge → conclude → publish and commit (the worker)

`prepare` makes the feature matrix, `judge` is the model's part, `conclude` encodes what is published. The public
`Model` takes the same way as far as the scores.

Nothing about one event raises here: a bad event already is a dead letter, and the good ones
beside it are scored as if it were not there.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from streamscore.core.events.decode import DeadLetter, Entry, entry_partition, entry_timestamp
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import UNKNOWN, Columns
from streamscore.core.events.record import Headers, Partition, Record
from streamscore.core.scoring.bins import Binned, binned
from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.decision import (
    APPROVE,
    DECLINE,
    Message,
    Reason,
    Score,
    Times,
    alert,
    bands,
    reasons,
    scores,
)

# What an event looks like against the past of its entities: columns in, more columns out.
History = Callable[[EventType, Columns], Columns]
FeaturesOf = Literal["off", "alerts", "all"]

DEAD_LETTER = "streamscore.dead_letter."
TRACE_HEADERS = frozenset({"traceparent", "tracestate"})
_encode = msgspec.json.Encoder().encode
_ignored = attrgetter("ignored")


@dataclass(frozen=True)
class Outcome:
    """Everything one batch produced, and the numbers that metrics are made of.

    `offsets` is the next offset to read of each partition in the batch; it may be committed once
    every message here is acknowledged. `timestamps` are the Kafka timestamps of the records.
    """

    scores: list[Message]
    alerts: list[Message]
    dead_letters: list[Message]
    offsets: dict[Partition, int]
    risks: np.ndarray
    bands: np.ndarray
    refused: list[DeadLetter]
    timestamps: np.ndarray
    unknown_values: dict[str, int]
    ignored_fields: int
    binned: Binned | None = None


def no_history(_: EventType, columns: Columns) -> Columns:
    """The history of an event type that declares none."""
    return columns


class Prepared(NamedTuple):
    """A batch ready for the model: its entries, those that are events, their columns and feature matrix.

    `duplicates` are the rows of events that came before, at another offset; `complete_since` is the time from
    which on no event of any window is missing, None where no history is kept.
    """

    entries: Sequence[Entry]
    valid: Sequence[Entry]
    columns: Columns
    matrix: np.ndarray
    duplicates: Collection[int] = ()
    complete_since: datetime | None = None


class Judged(NamedTuple):
    """What the model says of a batch: risks, bands, and reasons of the rows above the review threshold."""

    risks: np.ndarray
    band: np.ndarray
    why: dict[int, tuple[Reason, ...]]


def prepare(entries: Sequence[Entry], bundle: Bundle, history: History) -> Prepared:
    """The feature matrix of a batch's events."""
    valid = [entry for entry in entries if entry.event is not None]
    events = [entry.event for entry in valid]
    columns = history(bundle.event_type, bundle.event_type.columns(events))
    return Prepared(entries, valid, columns, bundle.features.matrix(columns, len(events)))


def judge(bundle: Bundle, matrix: np.ndarray) -> Judged:
    """Risks, bands and reasons: the model's part, which shares nothing and may run on another thread."""
    risks = bundle.scorer.risks(matrix)
    band = bands(risks, bundle.manifest.thresholds)
    return Judged(risks, band, _reasons(bundle, matrix, band))


def conclude(
    prepared: Prepared, bundle: Bundle, judged: Judged, now: datetime, features_of: FeaturesOf = "off"
) -> Outcome:
    """Everything a batch produces, encoded; `features_of` says which scores carry the features behind them."""
    entries, valid = prepared.entries, prepared.valid
    refused = [entry for entry in entries if entry.dead_letter is not None] if len(valid) < len(entries) else []
    scored = scored_events(prepared, bundle, judged, now, features_of)
    return Outcome(
        scores=[
            Message((record := entry.record).key, _encode(score), record.headers and _trace(record.headers))
            for entry, score in zip(valid, scored, strict=True)
        ],
        alerts=[
            _alert_message(valid[row].record, scored[row], judged.band[row])
            for row in np.flatnonzero(judged.band).tolist()
            if row not in prepared.duplicates  # whoever acts on alerts has had this one
        ],
        dead_letters=[dead_letter_message(entry.record, entry.dead_letter) for entry in refused if entry.dead_letter],
        offsets=next_offsets(entries),
        risks=judged.risks,
        bands=judged.band,
        refused=[entry.dead_letter for entry in refused if entry.dead_letter],
        timestamps=np.fromiter(map(entry_timestamp, entries), np.int64, len(entries)),
        unknown_values=_unknown_values(bundle.event_type, prepared.columns, valid),
        ignored_fields=sum(map(_ignored, valid)),
        binned=binned(bundle.bins, prepared.matrix, judged.risks) if bundle.bins.profiles else None,
    )


def scored_events(
    prepared: Prepared, bundle: Bundle, judged: Judged, now: datetime, features_of: FeaturesOf = "off"
) -> list[Score]:
    """The score of each valid event, in order: what a worker encodes and what the Python API returns."""
    scored = scores(bundle, prepared.valid, judged.risks, judged.why, Times(now, prepared.complete_since))
    for row in prepared.duplicates:
        scored[row] = msgspec.structs.replace(scored[row], duplicate=True)
    if features_of != "off":
        values = bundle.features.values(prepared.columns)
        for row in range(len(scored)) if features_of == "all" else np.flatnonzero(judged.band).tolist():
            scored[row] = msgspec.structs.replace(scored[row], features=_features(values, row))
    return scored


def _features(values: dict[str, np.ndarray], row: int) -> dict[str, float | None]:
    """An event's features by name, None where it does not say."""
    found = {name: float(column[row]) for name, column in values.items()}
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def _alert_message(record: Record, score: Score, band: int) -> Message:
    return Message(record.key, _encode(alert(score, "high" if band == DECLINE else "medium")), _trace(record.headers))


def _reasons(bundle: Bundle, matrix: np.ndarray, band: np.ndarray) -> dict[int, tuple[Reason, ...]]:
    """Reasons of the rows above the review threshold only: they cost more than the score."""
    rows = np.flatnonzero(band > APPROVE)
    if not len(rows):
        return {}
    found = reasons(bundle, matrix[rows], bundle.scorer.contributions(matrix[rows]))
    return dict(zip(rows.tolist(), found, strict=True))


def _trace(headers: Headers | None) -> Headers | None:
    """The headers that tie an output to its input's trace."""
    return [header for header in headers if header[0] in TRACE_HEADERS] or None if headers else None


def dead_letter_message(record: Record, dead_letter: DeadLetter) -> Message:
    """The record byte for byte, with headers that say where it stood and why it is here."""
    said = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": str(record.timestamp),
        "reason": dead_letter.reason,
        "field": dead_letter.field,
        "error": dead_letter.error,
    }
    ours: Headers = [(f"{DEAD_LETTER}{name}", text.encode()) for name, text in said.items()]
    return Message(record.key, record.value, [*(record.headers or []), *ours])


def next_offsets(entries: Sequence[Entry]) -> dict[Partition, int]:
    """The offset after the last entry of each partition; entries keep the order of their partition."""
    last = dict(zip(map(entry_partition, entries), entries, strict=True))
    return {partition: entry.record.offset + 1 for partition, entry in last.items()}


def _unknown_values(event_type: EventType, columns: Columns, valid: Sequence[Entry]) -> dict[str, int]:
    """How often each open category had a value that was not declared; a missing one does not count."""
    counts = {}
    for field in event_type.fields:
        if field.kind == "category" and not field.closed and field.name in columns:
            rows = np.flatnonzero(columns[field.name] == UNKNOWN).tolist()
            counts[field.wire_name] = sum(getattr(valid[row].event, field.name) is not None for row in rows)
    return {name: count for name, count in counts.items() if count}
