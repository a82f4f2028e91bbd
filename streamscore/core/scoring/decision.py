"""From a risk to what is published: a score, a decision, and an alert with reasons when it matters."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from streamscore.core.events.decode import Entry
from streamscore.core.events.record import Headers
from streamscore.core.scoring.bundle import Bundle, Contributions, Thresholds

Severity = Literal["medium", "high"]

MAX_REASONS = 4  # what consumers of credit decisions customarily give
# In logits. Below it a "reason" is numerical noise of the attribution.
SMALLEST_CONTRIBUTION = 0.01

APPROVE, REVIEW, DECLINE = range(3)


class Reason(msgspec.Struct, frozen=True, gc=False):
    """Why the risk is above the usual: the feature's name, words, and its share in logits."""

    code: str
    text: str
    contribution: float


class Score(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The published score of one event. `score_id` depends on the input's coordinates only."""

    score_id: str
    event_id: str | int
    event_type: str
    entities: Any
    risk: float
    decision: str
    model: str
    topic: str
    partition: int
    offset: int
    occurred_at: datetime
    scored_at: datetime
    reasons: tuple[Reason, ...] = ()
    duplicate: bool = False
    features: dict[str, float | None] | None = None
    history_complete_since: datetime | None = None


class Alert(msgspec.Struct, frozen=True, gc=False):
    """The published alert of an event above the review threshold."""

    alert_id: str
    event_id: str | int
    event_type: str
    entities: Any
    severity: Severity
    risk: float
    decision: str
    model: str
    topic: str
    partition: int
    offset: int
    occurred_at: datetime
    scored_at: datetime
    reasons: tuple[Reason, ...]


class Message(msgspec.Struct, frozen=True, gc=False):
    """What goes out: the input's key, the encoded value, and headers to carry on."""

    key: bytes | None
    value: bytes | None
    headers: Headers | None


class Times(NamedTuple):
    """When a batch is scored, and since when the history behind it is complete; None without one."""

    now: datetime
    complete_since: datetime | None = None


def bands(risks: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """int64 (rows,): APPROVE, REVIEW or DECLINE; a risk equal to a threshold is in the upper band."""
    return np.searchsorted(np.array([thresholds.review, thresholds.decline]), risks, side="right")


def reasons(bundle: Bundle, matrix: np.ndarray, contributions: Contributions) -> list[tuple[Reason, ...]]:
    """Up to four reasons per row, strongest first: features that raised the risk and may be named."""
    allowed = np.array([bundle.event_type.may_be_reason(feature) for feature in bundle.features.features])
    strength = np.where(allowed, contributions.values, -np.inf)
    strongest = np.argsort(-strength, axis=1, kind="stable")[:, :MAX_REASONS]
    return [
        tuple(
            Reason(bundle.features.names[j], _words(bundle, matrix, row, j), round(float(strength[row, j]), 4))
            for j in columns
            if strength[row, j] >= SMALLEST_CONTRIBUTION
        )
        for row, columns in enumerate(strongest.tolist())
    ]


def _words(bundle: Bundle, matrix: np.ndarray, row: int, column: int) -> str:
    feature = bundle.features.features[column]
    value = float(matrix[row, column])
    if np.isnan(value):
        return f"{feature.name.replace('_', ' ')} not known"
    if feature.categories and len(feature.fields) == 1:
        return f"{feature.reason}: {bundle.event_type.category(feature.fields[0], int(value))}"
    return (feature.otherwise if value == 0 and feature.otherwise else feature.reason).format(value=value)


def scores(
    bundle: Bundle, entries: Sequence[Entry], risks: np.ndarray, why: dict[int, tuple[Reason, ...]], times: Times
) -> list[Score]:
    """One score per entry, in order; `why` gives the reasons of the rows that have some."""
    now, complete_since = times
    event_type, version = bundle.event_type, bundle.manifest.version
    decisions = [event_type.decisions[band] for band in bands(risks, bundle.manifest.thresholds).tolist()]
    entities = event_type.entities_of
    scored = []
    for row, (entry, risk, decision) in enumerate(zip(entries, rounded(risks), decisions, strict=True)):
        record, event = entry.record, entry.event
        if event is None:
            continue
        scored.append(
            Score(
                score_id=f"{record.topic}-{record.partition}-{record.offset}",
                event_id=event.event_id,
                event_type=event_type.name,
                entities=entities(event),
                risk=risk,
                decision=decision,
                model=version,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                occurred_at=event.occurred_at,
                scored_at=now,
                reasons=why.get(row, ()),
                history_complete_since=complete_since,
            )
        )
    return scored


def rounded(risks: np.ndarray) -> list[float]:
    """Risks as they are published: nine decimals are beyond float32's own precision and a third of its repr's bytes."""
    found: list[float] = np.round(risks.astype(np.float64), 9).tolist()
    return found


def alert(score: Score, severity: Severity) -> Alert:
    """The alert of a score; its id, like the score's, comes from the input's coordinates."""
    rest = {name: getattr(score, name) for name in _SHARED}
    return Alert(alert_id=score.score_id, severity=severity, **rest)


# The two structs are written out in full: the order of their fields is the order on the wire, which a common base
# would change.
_SHARED = tuple(name for name in Alert.__struct_fields__ if name in Score.__struct_fields__)
