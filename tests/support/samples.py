"""Small valid events, records around them, and a scorer whose numbers are known in advance."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from streamscore.core.events.decode import Entry, Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.record import Headers, Record
from streamscore.core.scoring.bundle import Bundle, Calibration, Contributions, Manifest, Thresholds
from streamscore.core.scoring.pipeline import History, Outcome, conclude, judge, no_history, prepare

LIMITS = Limits()
NOW = datetime(2026, 1, 1, tzinfo=UTC)

PAYMENT = {
    "event_id": "tx-1",
    "occurred_at": "2025-06-02T10:30:00Z",
    "customer_id": "c1",
    "terminal_id": "t1",
    "amount": 42.5,
    "currency": "EUR",
    "country": "DE",
    "home_country": "DE",
    "channel": "chip",
    "authentication": "pin",
    "merchant_category": "5411",
    "account_age": 400,
    "recurring": False,
}
CREDIT = {
    "event_id": "ap-1",
    "occurred_at": "2025-06-02T10:30:00Z",
    "applicant_id": "a1",
    "amount": 5000.0,
    "term": 24,
    "channel": "online",
    "employment": "employed",
    "housing": "rent",
    "purpose": "car",
    "age": 41,
    "income": 36000.0,
}


def payment(**changes: Any) -> bytes:
    """A valid transaction with some values changed."""
    return body(PAYMENT | changes)


def application(**changes: Any) -> bytes:
    """A valid application with some values changed."""
    return body(CREDIT | changes)


def without(values: dict[str, Any], name: str) -> bytes:
    """An event that lacks a field."""
    return body({key: value for key, value in values.items() if key != name})


def body(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode()


def record(
    value: bytes | None,
    offset: int = 0,
    partition: int = 0,
    topic: str = "events",
    headers: Headers | None = None,
) -> Record:
    """A record as Kafka would hand it over."""
    return Record(topic, partition, offset, 1_700_000_000_000 + offset, b"key", value, headers)


def decoded(event_type: EventType, value: bytes | None, limits: Limits = LIMITS, now: datetime = NOW) -> Entry:
    """What becomes of one message."""
    (entry,) = decode(event_type, [record(value)], now, limits)
    return entry


def entries_of(event_type: EventType, values: Sequence[bytes | None]) -> list[Entry]:
    """What becomes of messages that stand at offsets 0, 1, 2 … of one partition."""
    return decode(event_type, [record(value, offset) for offset, value in enumerate(values)], NOW, Limits())


def process(entries: Sequence[Entry], bundle: Bundle, history: History = no_history) -> Outcome:
    """A batch from its entries to its outputs, as the worker takes it."""
    prepared = prepare(entries, bundle, history)
    return conclude(prepared, bundle, judge(bundle, prepared.matrix), NOW)


class StubScorer:
    """Risks by a given function of the matrix; contributions are the same for each row."""

    device = "none"

    def __init__(self, risk: Callable[[np.ndarray], np.ndarray], contributions: dict[int, float] | None = None) -> None:
        self._risk, self._contributions = risk, contributions or {}
        self.explained = 0

    def risks(self, matrix: np.ndarray) -> np.ndarray:
        return self._risk(matrix).astype(np.float32)

    def contributions(self, matrix: np.ndarray) -> Contributions:
        self.explained += len(matrix)
        values = np.zeros(matrix.shape)
        for feature, value in self._contributions.items():
            values[:, feature] = value
        return Contributions(values, np.zeros(len(matrix)))


def by_amount(matrix: np.ndarray) -> np.ndarray:
    """A risk that is a thousandth of the first feature, 1 at most."""
    return np.minimum(matrix[:, 0] / 1000.0, 1.0)


def bundle(event_type: EventType, scorer: StubScorer, review: float = 0.5, decline: float = 0.75) -> Bundle:
    """A bundle around a scorer that no store has seen."""
    manifest = Manifest(
        version="stub-1",
        event_type=event_type.name,
        features=event_type.features.names,
        calibration=Calibration(),
        thresholds=Thresholds(review=review, decline=decline),
        trained_at=NOW,
        data={},
        metrics={},
        settings={},
        packages={},
    )
    return Bundle(manifest, event_type, event_type.features, scorer)


def said(value: bytes | None) -> dict[str, Any]:
    """A published message as plain values."""
    return msgspec.json.decode(value or b"{}", type=dict[str, Any])
