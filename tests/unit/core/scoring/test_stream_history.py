"""The history of a stream: each record folded once, our own asked, repeats told from redeliveries, and what is kept."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest

from streamscore.core.events.aggregate import Aggregate
from streamscore.core.events.decode import Entry, Limits, decode
from streamscore.core.events.feature import Feature, FeatureSet, as_is
from streamscore.core.events.label import decode_labels
from streamscore.core.events.record import Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.history.entity_history import Bounds
from streamscore.core.scoring.pipeline import FeaturesOf, conclude, judge
from streamscore.core.scoring.stream_history import Checkpoint, StreamHistory
from tests.support.copied import copies
from tests.support.samples import NOW, PAYMENT, StubScorer, bundle, by_amount

CUSTOMER = ("customer_id",)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
HISTORY = (
    Aggregate("in_a_day", "count", CUSTOMER, DAY),
    Aggregate("risk", "risk", CUSTOMER, DAY),
)
TYPE = replace(
    TRANSACTION,
    name="remembered",
    history=HISTORY,
    features=FeatureSet(tuple(Feature(a.name, (a.name,), as_is, a.name) for a in HISTORY)),
)
BUNDLE = bundle(TYPE, StubScorer(by_amount))
NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)
ALL = {("events", 0): 0, ("events", 1): 0}


def entry(offset: int, at: datetime, partition: int = 0, **changes: Any) -> Entry:
    """A payment of the same customer, decoded."""
    values = PAYMENT | {"event_id": f"{partition}-{offset}", "occurred_at": at.isoformat()} | changes
    record = Record("events", partition, offset, -1, None, json.dumps(values).encode(), None)
    (found,) = decode(TYPE, [record], NOW, Limits())
    assert found.event is not None, found.dead_letter
    return found


def label(history: StreamHistory, offset: int, event: Entry, labelled_at: datetime) -> Entry:
    """A label of an event: it was a fraud."""
    echoed = {name: json.loads(event.record.value or b"")[name] for name in ("event_id", *TYPE.entities, "occurred_at")}
    value = json.dumps(echoed | {"label": True, "labelled_at": labelled_at.isoformat()}).encode()
    (found,) = decode_labels(history.labels, [Record("labels", 0, offset, -1, None, value, None)], NOW, Limits())
    assert found.event is not None, found.dead_letter
    return found


@pytest.fixture
def history() -> StreamHistory:
    return StreamHistory(TYPE, Bounds(slack=timedelta(0)), {("events", 0): 0, ("events", 1): 0, ("labels", 0): 0})


def counts(
    history: StreamHistory, entries: Sequence[Entry], scored_from: dict[tuple[str, int], int] = ALL
) -> list[float]:
    """How many payments of the last day each scored event sees."""
    return history.prepare(entries, BUNDLE, scored_from).matrix[:, 0].tolist()


def test_all_partitions_are_folded_and_ours_are_scored(history: StreamHistory) -> None:
    """Events of partitions that others score are known to ours, and not scored."""
    entries = [entry(0, NOON), entry(0, NOON + HOUR, partition=1), entry(1, NOON + 2 * HOUR)]
    prepared = history.prepare(entries, BUNDLE, {("events", 0): 1})
    assert [e.record.offset for e in prepared.valid] == [1]
    assert prepared.entries == [entries[2]]
    assert prepared.matrix[:, 0].tolist() == [3]


def test_what_is_read_again_is_folded_once_and_is_no_duplicate(history: StreamHistory) -> None:
    """After a rebalance a partition is read from its committed offset: its numbers are those it had before."""
    entries = [entry(0, NOON), entry(1, NOON + HOUR)]
    assert counts(history, entries) == [1, 2]
    again = history.prepare(entries, BUNDLE, ALL)
    assert again.matrix[:, 0].tolist() == [1, 2]
    assert not again.duplicates


def test_a_producer_that_sends_twice_is_told_from_that(history: StreamHistory) -> None:
    """The same event at another offset is scored and marked, raises no alert, is not folded; also when read again."""
    first, second = entry(0, NOON, event_id="e"), entry(5, NOON, event_id="e")
    later = entry(6, NOON + HOUR)
    assert counts(history, [first]) == [1]
    for _ in range(2):
        prepared = history.prepare([second, later], BUNDLE, ALL)
        assert prepared.matrix[:, 0].tolist() == [1, 2]
        assert set(prepared.duplicates) == {0}
    risky = bundle(TYPE, StubScorer(lambda matrix: np.full(len(matrix), 0.99), {0: 1.0}))
    prepared = history.prepare([second, later], risky, ALL)
    outcome = conclude(prepared, risky, judge(risky, prepared.matrix), NOW)
    said = [json.loads(message.value or b"") for message in outcome.scores]
    assert [score.get("duplicate") for score in said] == [True, None]
    assert [json.loads(message.value or b"")["alert_id"] for message in outcome.alerts] == ["events-0-6"]


def test_a_label_counts_from_when_it_was_known(history: StreamHistory) -> None:
    """A fraud that is told at four is not known at three, whichever way the batch was cut."""
    fraud = entry(0, NOON)
    told = label(history, 0, fraud, NOON + 4 * HOUR)
    asked = [entry(1, NOON + 3 * HOUR), entry(2, NOON + 5 * HOUR)]
    risks = history.prepare([fraud, asked[0], told, asked[1]], BUNDLE, ALL).matrix[:, 1]
    assert risks.tolist() == [0, 0, pytest.approx(1 / 3)]


def risk_of_all(risk: float, matrix: np.ndarray) -> np.ndarray:
    return np.full(len(matrix), risk)


def test_features_go_out_when_asked_for(history: StreamHistory) -> None:
    """A score carries the numbers behind it when all are to, or when it raises an alert and those are to."""
    prepared = history.prepare([entry(0, NOON)], BUNDLE, ALL)
    cases: tuple[tuple[float, FeaturesOf, bool], ...] = (
        (0.99, "alerts", True),
        (0.0, "alerts", False),
        (0.0, "all", True),
    )
    for risk, features_of, expected in cases:
        scorer = StubScorer(partial(risk_of_all, risk), {0: 1.0})
        model = bundle(TYPE, scorer)
        outcome = conclude(prepared, model, judge(model, prepared.matrix), NOW, features_of)
        score = json.loads(outcome.scores[0].value or b"")
        assert score.get("features") == ({"in_a_day": 1.0, "risk": 0.0} if expected else None)


def test_nothing_is_forgotten_that_may_be_read_again(history: StreamHistory) -> None:
    """What precedes the committed offset by more than the horizon goes, and not what an event after it will ask for."""
    entries = [entry(n, NOON + n * HOUR) for n in range(3000)]
    for start in range(0, 3000, 500):
        counts(history, entries[start : start + 500])
    history.forget({("events", 0): 1500})
    history.forget({("events", 0): 1500})
    assert history.by_entity.bound < (NOON + 1500 * HOUR - DAY).timestamp() * 1e6
    assert history.by_entity.bound > (NOON + 400 * HOUR).timestamp() * 1e6
    assert counts(history, entries[1500:1510]) == [24] * 10
    history.forget({("events", 0): 3000})
    assert history.by_entity.bound == int((NOON + 2999 * HOUR - DAY).timestamp() * 1e6)


def test_a_past_whose_beginning_is_deleted_says_since_when_it_is_complete() -> None:
    """It is complete once a whole horizon has passed since the oldest event that is kept."""
    history = StreamHistory(TYPE, Bounds(slack=timedelta(0)), {("events", 0): 7, ("events", 1): 0})
    counts(history, [entry(0, NOON, partition=1)])
    assert history.complete_since > NOON.timestamp(), "nothing tells yet how much is missing"
    counts(history, [entry(7, NOON), entry(8, NOON + HOUR)])
    assert history.complete_since == (NOON + DAY).timestamp()
    prepared = history.prepare([entry(9, NOON + 2 * DAY)], BUNDLE, {("events", 0): 7})
    score = json.loads(conclude(prepared, BUNDLE, judge(BUNDLE, prepared.matrix), NOW).scores[0].value or b"")
    assert score["history_complete_since"] == "2025-06-03T12:00:00Z"


def test_labels_whose_beginning_is_deleted_say_so_too() -> None:
    """Risks are complete once a whole horizon has passed since the oldest label that is kept was known."""
    history = StreamHistory(TYPE, Bounds(slack=timedelta(0)), {("events", 0): 0, ("labels", 0): 900})
    event = entry(0, NOON)
    counts(history, [event])
    assert history.complete_since > NOON.timestamp()
    counts(history, [label(history, 900, event, NOON + HOUR)])
    assert history.complete_since == (NOON + HOUR + DAY).timestamp()


def test_what_is_no_event_need_not_be_read_again(history: StreamHistory) -> None:
    """A dead letter at a partition's end is passed like the events before it."""
    (poison,) = decode(TYPE, [Record("events", 0, 1, -1, None, b"{", None)], NOW, Limits())
    counts(history, [entry(0, NOON), poison])
    assert history.folded[("events", 0)] == 2


def test_repetitions_that_are_committed_are_forgotten(history: StreamHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A producer that sends all twice does not fill the memory: only what is not committed is read again."""
    monkeypatch.setattr("streamscore.core.scoring.stream_history.MOST_REPEATED", 10)
    counts(history, [entry(n, NOON, event_id=f"e{n // 2}") for n in range(40)])
    assert len(history.standing().repeated) == 20
    history.forget({("events", 0): 30})
    assert [offset for _, _, offset, _ in history.standing().repeated] == [31, 33, 35, 37, 39]


def test_a_partition_that_was_not_there_at_first_is_folded(history: StreamHistory) -> None:
    """A topic may be given more partitions: their events count from the first one on."""
    assert counts(history, [entry(0, NOON), entry(0, NOON + HOUR, partition=7)]) == [1]
    assert counts(history, [entry(1, NOON + 2 * HOUR)]) == [3]


def test_late_events_are_counted(history: StreamHistory) -> None:
    """An event that comes after younger ones were scored is in no score of theirs, and counted."""
    counts(history, [entry(0, NOON)])
    assert history.late == 0
    assert counts(history, [entry(0, NOON - HOUR, partition=1), entry(1, NOON + HOUR)]) == [1, 3]
    assert history.late == 1
    counts(history, [label(history, n, entry(0, NOON), NOON + n * 2 * HOUR) for n in range(2)])
    assert history.late_labels == 1


def copied(history: StreamHistory, before: Checkpoint) -> StreamHistory:
    """A history that goes on where one stands now, whose history began to be copied earlier."""
    fresh = StreamHistory(TYPE, Bounds(slack=timedelta(0)), dict.fromkeys(history.folded, 0))
    for name, part in copies(history.by_entity, 2):
        fresh.by_entity.adopt(name, part)
    fresh.resume(before, history.standing())
    return fresh


def test_a_past_goes_on_from_a_copy(history: StreamHistory) -> None:
    """It folds what follows, asks what is read again as before, and tells repetitions as the first one would have."""
    first, again = entry(0, NOON, event_id="e"), entry(1, NOON, event_id="e")
    meanwhile = [entry(2, NOON + HOUR), entry(0, NOON + 2 * HOUR, partition=1)]
    counts(history, [first, again])
    before = history.standing()
    counts(history, meanwhile)
    fresh = copied(history, before)
    assert fresh.folded[("events", 0)] == 2
    for entries, numbers, repeated in (
        ([first, again], [1, 1], {1}),  # committed late: read again
        (meanwhile, [2, 3], set()),  # in the copy already, and no repetition
        ([entry(3, NOON + 3 * HOUR), entry(4, NOON + 2 * HOUR, event_id="1-0")], [4, 3], {1}),
    ):
        prepared = fresh.prepare(entries, BUNDLE, ALL)
        assert (prepared.matrix[:, 0].tolist(), set(prepared.duplicates)) == (numbers, repeated)
    assert fresh.by_entity.tally.duplicates == 1


def test_a_copy_of_a_copy_that_has_not_caught_up(history: StreamHistory) -> None:
    """What is in it already, though its past has not come to it again, is no repetition."""
    entries = [entry(n, NOON + n * HOUR) for n in range(10)]
    counts(history, entries[:4])
    before = history.standing()
    counts(history, entries[4:])
    second = copied(history, before)
    counts(second, entries[4:5])
    third = copied(second, second.standing())
    assert not third.prepare(entries[5:], BUNDLE, ALL).duplicates


def test_a_copy_keeps_what_was_known_of_its_beginning() -> None:
    """Since when it is complete, which partitions are not known yet, and what must not be forgotten."""
    history = StreamHistory(TYPE, Bounds(slack=timedelta(0)), {("events", 0): 7, ("events", 1): 9})
    counts(history, [entry(7 + n, NOON + n * HOUR) for n in range(2000)])
    history.forget({("events", 0): 1200, ("events", 1): -1})
    fresh = copied(history, history.standing())
    assert fresh.complete_since == history.complete_since > 0
    assert history.standing().needed == [("events", 0, 1200)]
    fresh.forget({("events", 0): 1200})
    assert fresh.by_entity.bound == history.by_entity.bound
    counts(fresh, [entry(9, NOON + 2000 * HOUR, partition=1)])
    assert fresh.complete_since == (NOON + 2000 * HOUR + DAY).timestamp()
