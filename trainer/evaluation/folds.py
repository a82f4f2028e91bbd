"""How a backtest sets rows apart, and what a card is worth: the Fraud Detection Handbook's protocol, and k folds.

A fold is a training part and a test part; nothing of the test part may be shown to a model, or to who chooses it.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold

from streamscore.core.events.feature import DAY
from streamscore.errors import DataError

# Days of training, days until their labels are known, days that are judged.
TRAINING, DELAY, TEST = 7, 7, 7
CARDS = 100
EPOCH = date(1970, 1, 1)


class Stream(NamedTuple):
    """What the protocol looks at of each event: UTC day since 1970, the card as a code, and whether it was a fraud."""

    day: np.ndarray
    card: np.ndarray
    fraud: np.ndarray


class Fold(NamedTuple):
    """Row numbers to learn from and to be judged on; `name` is the first training day, or the fold's number."""

    name: str
    train: np.ndarray
    test: np.ndarray


def stream(at: np.ndarray, cards: np.ndarray, fraud: np.ndarray) -> Stream:
    """Events as the protocol sees them; `at` in µs since 1970 UTC."""
    return Stream(at // DAY, np.unique(cards, return_inverse=True)[1], fraud)


def handbook(events: Stream, first_training_day: date) -> Fold:
    """A week to train, a week until its labels are known, a week to judge, without cards known to be compromised.

    On a day of the test week those are known that had a fraud from the first training day until eight days before
    (Le Borgne, Siblini, Lebichot, Bontempi, Reproducible Machine Learning for Credit Card Fraud Detection, 2022,
    chapter 5). DataError when the events do not span both weeks.
    """
    first = (first_training_day - EPOCH).days
    last = first + TRAINING + DELAY + TEST - 1
    if not len(events.day) or events.day.min() > first or events.day.max() < last:
        raise DataError(f"the fold of {first_training_day} needs events from then until {_date(last)}")
    train = np.flatnonzero((events.day >= first) & (events.day < first + TRAINING))
    parts = [_judged(events, first, day) for day in range(first + TRAINING + DELAY, last + 1)]
    return Fold(str(first_training_day), train, np.concatenate(parts))


def _judged(events: Stream, first: int, day: int) -> np.ndarray:
    """The rows of a day, without those of cards known by then."""
    known = events.fraud & (events.day >= first) & (events.day < day - DELAY)
    compromised = np.isin(events.card, np.unique(events.card[known]))
    return np.flatnonzero((events.day == day) & ~compromised)


def _date(day: int) -> date:
    return EPOCH + timedelta(days=int(day))


def card_precision(events: Stream, scores: np.ndarray, cards: int = CARDS) -> float:
    """The mean over days of the share of compromised cards among so many with the highest scores.

    A day's cards rank by their highest score; a compromised card that was among them is not looked at again.
    """
    found, shares = np.zeros(int(events.card.max()) + 1, bool), []
    for day in np.unique(events.day):
        rows = np.flatnonzero((events.day == day) & ~found[events.card])
        # Of each card the row with its highest score stands first; a tie is broken by the card.
        ranked = rows[np.lexsort((events.card[rows], -scores[rows]))]
        first = np.sort(np.unique(events.card[ranked], return_index=True)[1])[:cards]
        top = events.card[ranked[first]]
        compromised = np.intersect1d(top, events.card[rows[events.fraud[rows]]])
        found[compromised] = True
        shares.append(len(compromised) / cards)
    return float(np.mean(shares))


def k_folds(labels: np.ndarray, folds: int, seed: int) -> Iterator[Fold]:
    """Stratified folds, for tables without time: each row is judged once."""
    try:
        parts: Sequence[tuple[np.ndarray, np.ndarray]] = list(
            StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)
        )
    except ValueError as error:
        raise DataError(f"the events cannot be split by label: {error}") from None
    for number, (train, test) in enumerate(parts, 1):
        yield Fold(str(number), train, test)
