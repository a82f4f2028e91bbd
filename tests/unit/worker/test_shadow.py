"""Challengers in shadow: what they say of each event, and that nothing they do is felt by the loop."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.decision import Message, Times, scores
from streamscore.core.scoring.pipeline import Prepared, no_history, prepare
from streamscore.core.scoring.shadow import Scored, ShadowScore, challenged, shadow_messages
from streamscore.monitoring.metrics import Metrics
from streamscore.settings.schema import Settings
from streamscore.worker.shadow import Shadow
from tests.support.running import until
from tests.support.samples import NOW, StubScorer, bundle, by_amount, entries_of, payment

CHAMPION = bundle(TRANSACTION, StubScorer(by_amount))
MOST = 64


def challenger(risk: Callable[[np.ndarray], np.ndarray], version: str = "challenger-1") -> Bundle:
    found = bundle(TRANSACTION, StubScorer(risk))
    return replace(found, manifest=found.manifest.model_copy(update={"version": version}))


def batch(rows: int, first: int = 0) -> tuple[Prepared, np.ndarray]:
    """Payments of growing amounts, and what the champion said of them."""
    values = [payment(event_id=f"tx-{row}", amount=1.0 + row) for row in range(first, first + rows)]
    prepared = prepare(entries_of(TRANSACTION, [*values, b"{"]), CHAMPION, no_history)
    return prepared, CHAMPION.scorer.risks(prepared.matrix)


def said(messages: Sequence[Message]) -> list[ShadowScore]:
    return [msgspec.json.decode(message.value or b"", type=ShadowScore) for message in messages]


def test_each_event_has_both_risks() -> None:
    """With the coordinates, id and champion's risk of the score that was published, under its record's key."""
    prepared, risks = batch(5)
    other = challenger(lambda matrix: by_amount(matrix) / 3)
    scored = Scored(CHAMPION, prepared, risks)
    messages = shadow_messages(other, scored, challenged(other, scored), NOW)
    published = scores(CHAMPION, prepared.valid, risks, {}, Times(NOW))
    assert [message.key for message in messages] == [entry.record.key for entry in prepared.valid]
    for shadow, score, risk in zip(said(messages), published, by_amount(prepared.matrix) / 3, strict=True):
        same = ("score_id", "event_id", "event_type", "topic", "partition", "offset", "occurred_at")
        assert [getattr(shadow, name) for name in same] == [getattr(score, name) for name in same]
        assert shadow.risk == pytest.approx(risk, abs=1e-7)
        assert shadow.champion_risk == score.risk
        assert (shadow.model, shadow.champion) == ("challenger-1", "stub-1")
        assert shadow.entities == {"customer_id": "c1", "terminal_id": "t1"}


def test_a_challenger_has_features_of_its_own() -> None:
    """Fewer, and in another order: it gets the columns that it was trained on."""
    names = TRANSACTION.features.names[3:0:-1]
    seen: list[np.ndarray] = []

    def risk(matrix: np.ndarray) -> np.ndarray:
        seen.append(matrix)
        return np.zeros(len(matrix))

    prepared, risks = batch(7)
    challenged(
        replace(challenger(risk), features=TRANSACTION.features.select(names)), Scored(CHAMPION, prepared, risks)
    )
    assert np.array_equal(seen[0], prepared.matrix[:, 3:0:-1], equal_nan=True)


def test_some_rows_at_a_time_are_all_rows() -> None:
    """However a batch is cut, the messages are the same."""
    prepared, risks = batch(10)
    other = challenger(by_amount)
    scored = Scored(CHAMPION, prepared, risks)
    whole = shadow_messages(other, scored, risks, NOW)
    cut = [m for at in (0, 4, 8) for m in shadow_messages(other, scored, risks, NOW, slice(at, at + 4))]
    assert cut == whole
    assert len(whole) == 10


class Topic:
    """A sink that keeps what it is given."""

    def __init__(self, *_: object) -> None:
        self.messages: list[Message] = []

    def publish(self, messages: Sequence[Message]) -> None:
        self.messages += messages

    def look(self) -> None: ...

    def close(self, seconds: float) -> None: ...


class Asked:
    """Which challenger there is now, and a way to hold it in the middle of a batch."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.now: Bundle | None = challenger(self.held)
        self.go.set()

    def held(self, matrix: np.ndarray) -> np.ndarray:
        self.begun.set()
        assert self.go.wait(30)
        return by_amount(matrix)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    found = Topic()
    monkeypatch.setattr("streamscore.worker.shadow.ShadowSink", lambda *_: found)
    monkeypatch.setattr("streamscore.worker.shadow.REST_SECONDS", 0.0)
    return found


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def shadow(asked: Asked, topic: Topic, metrics: Metrics) -> Iterator[Shadow]:
    found = Shadow(Settings(batch={"max_events": MOST}), "shadow", lambda _: asked.now, metrics)
    yield found
    asked.go.set()
    found.close()


def counted(metrics: Metrics, what: str) -> float:
    labels = {"event_type": "transaction", "what": what}
    return metrics.registry.get_sample_value("streamscore_shadow_events_total", labels) or 0.0


def test_what_comes_while_it_is_behind_is_skipped(shadow: Shadow, asked: Asked, metrics: Metrics, topic: Topic) -> None:
    """One batch in hand, another waiting: the loop goes on at once, the rest is counted, and what was taken is done."""
    asked.go.clear()
    shadow.offer(CHAMPION, *batch(MOST))
    assert asked.begun.wait(30)
    begun = time.monotonic()
    for first in range(1, 10):
        shadow.offer(CHAMPION, *batch(MOST, first * MOST))
    assert time.monotonic() - begun < 20  # and not for as long as it is held
    assert counted(metrics, "skipped") == 8 * MOST
    asked.go.set()
    until(lambda: counted(metrics, "scored") == 2 * MOST, 30, "what was taken is scored")
    assert [score.event_id for score in said(topic.messages)] == [f"tx-{row}" for row in range(2 * MOST)]


def test_many_small_batches_wait_together(shadow: Shadow, asked: Asked, metrics: Metrics) -> None:
    """At a trickle as many events wait as a batch may hold."""
    asked.go.clear()
    shadow.offer(CHAMPION, *batch(1))
    assert asked.begun.wait(30)
    for first in range(MOST + 5):
        shadow.offer(CHAMPION, *batch(1, first))
    asked.go.set()
    until(lambda: counted(metrics, "scored") == 1 + MOST, 30, "all that waited is scored")
    assert counted(metrics, "skipped") == 5


def test_a_challenger_that_raises_harms_nobody(
    shadow: Shadow, asked: Asked, metrics: Metrics, topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted and said once in a while, and the next one is asked as if nothing had been."""

    def wrong(matrix: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError(f"{len(matrix)} rows")

    for broken in (wrong, lambda matrix: by_amount(matrix)[1:]):
        asked.now = challenger(broken)
        shadow.offer(CHAMPION, *batch(3))
        until(lambda: shadow._waiting.qsize() == 0, 30, "it is taken")
    until(lambda: counted(metrics, "failed") == 6, 30, "both are counted")
    told = [entry.getMessage() for entry in caplog.records if entry.name == "streamscore.shadow"]
    assert told == ["challenger challenger-1 of transaction failed: ZeroDivisionError: 3 rows"]
    topic.messages.clear()
    asked.now = challenger(by_amount, "challenger-2")
    shadow.offer(CHAMPION, *batch(3))
    until(lambda: counted(metrics, "scored") == 3, 30, "the next one scores")
    assert {score.model for score in said(topic.messages)} == {"challenger-2"}


@pytest.mark.parametrize("now", [None, CHAMPION])
def test_without_another_model_nothing_is_done(
    shadow: Shadow, asked: Asked, metrics: Metrics, now: Bundle | None
) -> None:
    """Neither where there is no challenger, nor where it has become the champion, and nothing counts as skipped."""
    asked.now = now
    for _ in range(3):
        shadow.offer(CHAMPION, *batch(MOST))
    assert shadow._waiting.qsize() == 0
    assert counted(metrics, "skipped") == 0


def test_what_was_offered_is_finished_on_close(shadow: Shadow, metrics: Metrics, topic: Topic) -> None:
    """A worker that stops loses nothing that it had begun."""
    for first in range(5):
        shadow.offer(CHAMPION, *batch(5, 5 * first))
    shadow.close()
    assert counted(metrics, "scored") == len(topic.messages) == 25
