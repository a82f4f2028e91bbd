"""Entity history by example: repetitions, late labels, bounds, evictions, and what it costs to hold."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from streamscore.core.events.aggregate import Aggregate, raw
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import FeatureSet
from streamscore.core.events.field import Columns
from streamscore.core.history.entity_history import Bounds, Cursor, EntityHistory
from streamscore.core.scoring.warm_up import warm_up
from tests.support.compiled import compiled_only
from tests.support.copied import again
from tests.unit.core.history.test_history_laws import Named, Numbered

DAY = 86_400_000_000
CUSTOMER = ("customer",)
WINDOWS = (
    Aggregate("count", "count", CUSTOMER, timedelta(days=7)),
    Aggregate("mean", "mean", CUSTOMER, timedelta(days=7), value="fee"),
    Aggregate("risk", "risk", CUSTOMER, timedelta(days=30), current=False),
)


def declaring(*history: Aggregate) -> EventType:
    return EventType("past", Numbered, ("customer",), FeatureSet(()), "bad", history=history)


PAST = declaring(*WINDOWS)
COUNTED = declaring(WINDOWS[0], WINDOWS[1])


def columns(*events: tuple[int, float, int], **more: Any) -> dict[str, Any]:
    """Events given as id, day and customer; each has a fee of its id."""
    ids, days, customers = (np.array(values) for values in zip(*events, strict=True))
    return {
        raw("event_id"): ids,
        raw("customer"): customers,
        "occurred_at": np.rint(days * DAY).astype(np.int64),
        "fee": ids.astype(np.float64),
        **more,
    }


def labels(*told: tuple[int, float, int, bool, float]) -> Columns:
    """Labels given as id, day and customer of the event, the answer, and the day it came."""
    came = np.array([int(day * DAY) for *_, day in told])
    return columns(*(one[:3] for one in told), label=np.array([one[3] for one in told]), labelled_at=came)


def fold(history: EntityHistory, *events: tuple[int, float, int]) -> list[bool]:
    return history.fold(history.read(columns(*events))).tolist()


def ask(history: EntityHistory, name: str, *events: tuple[int, float, int]) -> list[float]:
    return history.query(history.read(columns(*events)))[name].tolist()


def test_a_repetition_is_found_and_not_folded() -> None:
    """The same event again, in one call or a later one, is told and changes no number; another id or time is new."""
    history = EntityHistory(PAST)
    assert fold(history, (1, 0, 1), (2, 1, 1), (1, 0, 1)) == [True, True, False]
    assert fold(history, (2, 1, 1), (2, 1.5, 1), (3, 1, 1), (1, 0, 2)) == [False, True, True, True]
    assert ask(history, "count", (9, 2, 1), (9, 2, 2)) == [5, 2]
    assert (history.tally.folded, history.tally.duplicates) == (5, 2)


def test_an_event_counts_itself_once() -> None:
    """Asked before and after it is folded, an event gets the same numbers, and asking adds no entity."""
    history = EntityHistory(PAST)
    fold(history, (1, 0, 1))
    before = ask(history, "mean", (5, 1, 1), (6, 1, 7))
    assert before == [3, 6]
    assert history.entities == {CUSTOMER: 1}
    fold(history, (5, 1, 1), (6, 1, 7))
    assert ask(history, "mean", (5, 1, 1), (6, 1, 7)) == before


def test_labels_are_known_when_they_came() -> None:
    """A label counts from its own time on, a correction too; a fraud that was cleared later was one before."""
    history = EntityHistory(PAST)
    fold(history, (1, 0, 1), (2, 1, 1))
    history.fold_labels(labels((1, 0, 1, True, 3), (1, 0, 1, False, 6), (2, 1, 1, True, 6)))
    assert ask(history, "risk", *((9, day, 1) for day in (2.9, 3, 5.9, 6, 20))) == [0, 0.5, 0.5, 0.5, 0.5]
    history.fold_labels(labels((1, 0, 1, True, 7)))
    assert ask(history, "risk", *((9, day, 1) for day in (5, 6.5, 7))) == [0.5, 0.5, 1]


def test_a_label_counts_from_its_very_moment_on() -> None:
    """A label that came at the time asked for is known, also beside an earlier event's that came later."""
    history = EntityHistory(PAST)
    fold(history, (1, 0, 1), (2, 1, 1))
    history.fold_labels(labels((1, 0, 1, True, 6), (2, 1, 1, True, 3)))
    assert ask(history, "risk", (9, 3, 1), (9, 6, 1)) == [0.5, 1]


def test_labels_may_come_first_twice_or_for_nothing() -> None:
    """A label before its event waits for it, a repeated one counts once, one of an unknown event counts nowhere."""
    history = EntityHistory(PAST)
    history.fold_labels(labels((1, 0, 1, True, 3), (1, 0, 1, True, 3), (7, 0, 1, True, 3), (8, 0, 5, True, 3)))
    assert history.unmatched_labels == 3
    fold(history, (2, 0, 1))
    assert ask(history, "risk", (9, 4, 1), (9, 4, 5)) == [0, 0]
    fold(history, (1, 0, 1))
    assert ask(history, "risk", (9, 4, 1)) == [0.5]
    assert history.unmatched_labels == 2
    assert (history.tally.labels, history.tally.repeated_labels) == (3, 1)


def test_of_two_answers_at_one_moment_the_positive_counts() -> None:
    """Contradictory labels of the same moment give the same number in whichever order they come."""
    for first in (True, False):
        history = EntityHistory(PAST)
        fold(history, (1, 0, 1))
        history.fold_labels(labels((1, 0, 1, first, 2)))
        history.fold_labels(labels((1, 0, 1, not first, 2)))
        assert ask(history, "risk", (9, 3, 1)) == [1]
        assert history.tally.contradictory_labels == 1


def test_its_own_answer_never_counts() -> None:
    """An event that was labelled at once does not see its own answer, with the window that includes it."""
    history = EntityHistory(declaring(Aggregate("risk", "risk", CUSTOMER, timedelta(days=1))))
    fold(history, (1, 0, 1), (2, 0.5, 1))
    history.fold_labels(labels((1, 0, 1, False, 0), (2, 0.5, 1, True, 0.5)))
    assert ask(history, "risk", (2, 0.5, 1), (3, 0.5, 1)) == [0, pytest.approx(1 / 3)]


def test_trimming_keeps_what_may_be_asked() -> None:
    """What is older than the horizon before the oldest question goes, with entities that have nothing else."""
    history = EntityHistory(COUNTED, Bounds(slack=timedelta(days=1)))
    fold(history, (1, 0, 1), (2, 3, 1), (3, 0, 2), (4, 10.5, 1))
    history.trim(int(10 * DAY), 4)
    assert (history.events, history.entities, history.tally.evicted) == (2, {CUSTOMER: 1}, 1)
    assert ask(history, "count", (9, 10, 1), (9, 10.5, 1)) == [1, 2]
    assert fold(history, (5, 1.9, 3), (6, 2.1, 3)) == [True, True]
    assert (history.tally.too_old, history.entities) == (1, {CUSTOMER: 2})
    history.trim(int(5 * DAY), 4)
    assert history.bound == 2 * DAY


@compiled_only
def test_memory_does_not_grow_with_time() -> None:
    """A stream of ever new entities over a hundred horizons needs no more memory than over a few."""
    history, sizes = EntityHistory(COUNTED, Bounds(slack=timedelta(0))), []
    for day in range(0, 700, 2):
        ids = np.arange(500) + day * 1000
        told = columns(*zip(ids.tolist(), [day] * 500, (ids % 1_000_003).tolist(), strict=True))
        history.following(told)
        sizes.append(history.nbytes)
    assert max(sizes[30:]) <= 1.3 * max(sizes[:30])
    assert history.entities[CUSTOMER] < 9 * 500
    assert history.events < 9 * 500


def test_more_entities_than_allowed() -> None:
    """Above the cap new entities are left out and counted, those that are known go on."""
    history = EntityHistory(PAST, Bounds(most_entities=2))
    assert fold(history, (1, 0, 1), (2, 0, 2), (3, 0, 3), (4, 1, 1)) == [True] * 4
    assert (history.tally.folded, history.tally.without_room, history.entities[CUSTOMER]) == (3, 1, 2)
    assert ask(history, "count", (9, 2, 1), (9, 2, 3)) == [3, 1]


def test_a_restart_goes_on() -> None:
    """A history that adopted a copy has the numbers and the repetitions of the one that was copied."""
    history = EntityHistory(PAST)
    fold(history, (1, 0, 1), (2, 1, 1), (3, 1, 2), (4, 41, 2))
    history.fold_labels(labels((1, 0, 1, True, 3), (8, 30, 9, True, 33)))
    history.trim(int(31.5 * DAY), 4)
    restored = again(PAST, history, rows=1)
    asked = [(9, 35, 1), (9, 42, 2), (4, 41, 2)]
    for name in ("count", "mean", "risk"):
        assert np.array_equal(ask(restored, name, *asked), ask(history, name, *asked), equal_nan=True)
    assert fold(restored, (3, 1, 2), (5, 41, 2)) == [False, True]
    assert restored.unmatched_labels == history.unmatched_labels == 1
    assert again(PAST, EntityHistory(PAST)).events == 0


def test_what_comes_while_it_is_copied_is_folded_again() -> None:
    """Copying takes many turns: events folded between two, evictions and new entities do no harm."""
    history = EntityHistory(PAST, Bounds(slack=timedelta(0)))
    before = [(n, n % 5, n % 7) for n in range(70)]
    fold(history, *before)
    fresh = EntityHistory(PAST, Bounds(slack=timedelta(0)))
    cursor: Cursor | None = Cursor()
    meanwhile = [[(100 + turn, 50, (turn * 3) % 11), (200 + turn, 49, turn % 7)] for turn in range(40)]
    for told in meanwhile:
        if cursor:
            name, part, cursor = history.copied(cursor, 4)
            fresh.adopt(name, part)
        fold(history, *told)
        history.trim(50 * DAY, 2)
    assert cursor is None
    fresh.bound = history.bound
    fold(fresh, *(event for told in meanwhile for event in told))
    asked = [(999, 50, customer) for customer in range(11)]
    for name in ("count", "mean"):
        assert np.array_equal(ask(fresh, name, *asked), ask(history, name, *asked), equal_nan=True)


def test_ids_that_grew_longer_while_they_were_copied() -> None:
    """A copy of short ids is adopted beside one of longer ones."""
    kind = EventType("named", Named, ("customer",), FeatureSet(()), "bad", history=(WINDOWS[0],))
    history, fresh = EntityHistory(kind), EntityHistory(kind)
    there = {raw("customer"): np.array([1, 2]), "occurred_at": np.array([1, 2])}
    short, long = ({raw("event_id"): ids, **there} for ids in (["a", "b"], ["c" * 30, "d"]))
    history.fold(history.read(short))
    name, early, cursor = history.copied(Cursor(), 1)
    assert cursor is not None
    history.fold(history.read(long))
    _, late, _ = history.copied(cursor, 9)
    for part in (early, late, early):
        fresh.adopt(name, part)
    assert fresh.events == history.events - 1
    assert fresh.fold(fresh.read(short)).tolist() == [False, False]
    assert fresh.fold(fresh.read(long)).tolist() == [True, False]


@compiled_only
def test_held_bytes() -> None:
    """An event of one key and one value with an integer id is held in 32 bytes, however the timelines grew."""
    history, random = EntityHistory(COUNTED), np.random.default_rng(0)
    for day in range(50):
        customers = random.integers(0, 4000, 4000)
        ids = np.arange(4000) + 4000 * day
        told = columns((0, 0, 0)) | {
            raw("event_id"): ids,
            raw("customer"): customers,
            "occurred_at": np.full(4000, day * DAY),
            "fee": ids * 1.0,
        }
        history.fold(history.read(told))
    assert history.events == 200_000
    assert history.nbytes / history.events <= 32
    assert again(COUNTED, history, rows=50_000).nbytes / history.events <= 32


@compiled_only
def test_sums_of_a_hot_entity_are_exact() -> None:
    """A hundred thousand events of one entity, told backwards in batches, have the count and mean of plain sums."""
    history, rows = EntityHistory(COUNTED), 100_000
    for start in range(rows - 5000, -1, -5000):
        ids = np.arange(start, start + 5000)
        history.fold(history.read(columns(*zip(ids.tolist(), (ids * 6 / rows).tolist(), [1] * 5000, strict=True))))
    assert ask(history, "count", (rows, 6, 1)) == [rows + 1]
    assert ask(history, "mean", (rows, 6, 1)) == [rows * (rows + 1) / 2 / (rows + 1)]


@compiled_only
def test_warming_compiles_everything() -> None:
    """After `warm` nothing is compiled any more: no kernel has a signature that it had not."""
    from streamscore.core.history import entity_index, identity, kernels, label_timeline, measure, sliding  # noqa: PLC0415

    modules = (entity_index, identity, kernels, label_timeline, measure, sliding)
    compiled = [function for module in modules for function in vars(module).values()]
    compiled = [kernel for kernel in compiled if hasattr(kernel, "signatures")]
    warm_up(PAST)
    before = [len(kernel.signatures) for kernel in compiled]
    test_trimming_keeps_what_may_be_asked()
    test_labels_are_known_when_they_came()
    test_a_restart_goes_on()
    assert len(compiled) > 20
    assert [len(kernel.signatures) for kernel in compiled] == before


@compiled_only
def test_a_hot_entity_is_dropped_in_shares() -> None:
    """Of many rows those beyond the horizon go together, at most a sixteenth later; no number tells."""
    history, rows = EntityHistory(COUNTED, Bounds(slack=timedelta(0))), 64_000
    told = columns((0, 0, 0)) | {
        raw("event_id"): np.arange(rows),
        raw("customer"): np.ones(rows, np.int64),
        "occurred_at": np.arange(rows) * DAY // 1000,
        "fee": np.ones(rows),
    }
    held = []
    for day in range(1, 65):
        part = {name: values[1000 * day - 1000 : 1000 * day] for name, values in told.items()}
        assert history.following(part)["count"].tolist() == [min(1000 * day - 1000 + k, 6999) + 1 for k in range(1000)]
        held.append(history.events)
    assert 7000 <= max(held[8:]) <= 7000 * 16 / 15 + 1000
    assert min(held[8:]) == 7000
    assert history.tally.dropped == rows - history.events
