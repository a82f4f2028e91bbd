"""The parts of a backtest: who may learn from what, who is judged on what, and what a card is worth."""

from datetime import date

import numpy as np
import pytest

from streamscore.core.events.feature import DAY
from streamscore.errors import DataError
from trainer.evaluation.folds import Stream, card_precision, handbook, k_folds, stream

FIRST = date(2018, 3, 5)
DAYS = (FIRST - date(1970, 1, 1)).days


def made_up(seed: int, rows: int = 3000, cards: int = 150) -> Stream:
    """Five weeks of payments from a week before the first training day, in no order."""
    random = np.random.default_rng(seed)
    at = random.integers((DAYS - 7) * DAY, (DAYS + 28) * DAY, rows)
    at[:2] = (DAYS - 7) * DAY, (DAYS + 28) * DAY - 1
    ids = np.array([f"card-{n}" for n in random.integers(0, cards, rows)], object)
    return stream(at, ids, random.random(rows) < 0.05)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rows_of_a_fold(seed: int) -> None:
    """A week is trained on, the one after the next is judged, but for cards whose fraud was known by then."""
    events = made_up(seed)
    fold = handbook(events, FIRST)
    day = events.day - DAYS
    assert fold.name == "2018-03-05"
    assert set(fold.train) == {row for row in range(len(day)) if 0 <= day[row] < 7}
    known = {
        row
        for row in range(len(day))
        if any(
            events.fraud[other] and 0 <= day[other] <= day[row] - 8
            for other in np.flatnonzero(events.card == events.card[row])
        )
    }
    week = {row for row in range(len(day)) if 14 <= day[row] < 21}
    assert known & week
    assert set(fold.test) == week - known
    assert len(fold.test) == len(set(fold.test))
    assert day[fold.train].max() + 7 < day[fold.test].min()


def test_days_are_of_utc() -> None:
    """The last microsecond of a day belongs to it, the next one does not."""
    at = np.array([DAYS * DAY - 1, DAYS * DAY, (DAYS + 7) * DAY - 1, (DAYS + 7) * DAY, (DAYS + 21) * DAY - 1])
    fold = handbook(stream(at, np.arange(5), np.zeros(5, bool)), FIRST)
    assert fold.train.tolist() == [1, 2]
    assert fold.test.tolist() == [4]


@pytest.mark.parametrize("missing", [0, 1])
def test_a_fold_that_the_events_do_not_span(missing: int) -> None:
    """A fold that begins before the events, or is not over when they end, is refused with the days it needs."""
    at = np.array([DAYS + missing, DAYS + 20 - (not missing)]) * DAY
    with pytest.raises(DataError, match="the fold of 2018-03-05 needs events from then until 2018-03-25"):
        handbook(stream(at, np.arange(2), np.zeros(2, bool)), FIRST)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_card_precision(seed: int) -> None:
    """It is what the definition says: per day the cards of the highest scores, without those found before."""
    events = made_up(seed)
    scores = np.random.default_rng(seed + 10).random(len(events.day)) + 0.5 * events.fraud
    shares: list[float] = []
    found: set[int] = set()
    for day in sorted(set(events.day)):
        highest: dict[int, float] = {}
        for row in np.flatnonzero(events.day == day):
            card = int(events.card[row])
            highest[card] = max(highest.get(card, 0.0), scores[row])
        ranked = sorted(highest.keys() - found, key=highest.__getitem__, reverse=True)[:20]
        frauds = {int(card) for card in events.card[(events.day == day) & events.fraud]}
        shares.append(len(frauds & set(ranked)) / 20)
        found |= frauds & set(ranked)
    assert card_precision(events, scores, 20) == pytest.approx(np.mean(shares))
    assert 0.1 < np.mean(shares) < 0.9


def test_fewer_cards_than_are_looked_at() -> None:
    """With fewer cards in a day than are looked at, the share is still of that many; equal scores count a card once."""
    events = stream(np.array([1, 2, 3]), np.array(["a", "a", "b"]), np.array([True, True, False]))
    assert card_precision(events, np.zeros(3), 10) == 0.1


def test_every_row_is_judged_once() -> None:
    """Folds are disjoint, cover all rows, keep the rate of positives, and never train on what they judge."""
    labels = np.random.default_rng(1).random(1000) < 0.2
    folds = list(k_folds(labels, 5, 0))
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(1000))
    for fold in folds:
        assert not np.intersect1d(fold.train, fold.test).size
        assert len(fold.train) + len(fold.test) == 1000
        assert labels[fold.test].mean() == pytest.approx(labels.mean(), abs=0.01)
    with pytest.raises(DataError, match="cannot be split by label"):
        list(k_folds(np.zeros(3, bool), 5, 0))
