"""Profiles: every value in one bin, an index of 0 for equal shares, and a threshold that chance rarely passes."""

import numpy as np
import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.profile import change, edges, histogram, merged, psi, psi_threshold


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=1000),
        np.where(np.random.default_rng(1).random(1000) < 0.9, 0.0, np.random.default_rng(2).gamma(2, size=1000)),
        np.array([1.0, np.nan, np.nan, 2.0]),
        np.array([np.nan]),
        np.array([]),
        np.repeat([3.0, 4.0], 50),
        np.array([-np.inf, 0.0, np.inf]),
    ],
)
def test_every_value_is_counted_once(values: np.ndarray) -> None:
    """Empty columns, missing and infinite values, ties: the counts are those of the rows, in any order."""
    found = histogram(values, edges(values))
    assert found.rows == len(values)
    assert found.counts[-1] == np.isnan(values).sum()
    assert psi(found, found) == 0
    shuffled = histogram(values[::-1].astype(np.float32), found.edges)
    assert shuffled.rows == found.rows


def test_a_common_value_has_its_own_bin() -> None:
    """A column that is mostly 0 shows when the zeros go, and when its rare values grow."""
    random = np.random.default_rng(3)
    values = np.where(random.random(10_000) < 0.9, 0.0, random.gamma(2.0, size=10_000))
    reference = histogram(values, edges(values))
    assert max(reference.counts) == (values == 0).sum()
    fewer = np.where(random.random(10_000) < 0.6, 0.0, random.gamma(2.0, size=10_000))
    for shifted in (fewer, values * 10, np.zeros(10_000), np.full(10_000, np.nan)):
        found = histogram(shifted, reference.edges)
        assert psi(reference, found) > psi_threshold(reference, found)


def test_the_index_is_its_definition() -> None:
    """Two bins, half and half against a quarter and three quarters, half a row added to each, none missing."""
    reference, found = (
        histogram(np.array([0.0, 1.0] * 50), (0.5,)),
        histogram(np.array([0.0, 1.0, 1.0, 1.0] * 25), (0.5,)),
    )
    shares = (np.array([50.5, 50.5, 0.5]) / 101.5, np.array([25.5, 75.5, 0.5]) / 101.5)
    assert psi(reference, found) == pytest.approx(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


@pytest.mark.parametrize("rows", [60, 300, 3000])
def test_chance_rarely_passes_the_threshold(rows: int) -> None:
    """Small samples of the same population, where 0.1 alone would cry wolf, and of a shifted one."""
    random, wolves = np.random.default_rng(rows), 0
    reference = random.normal(size=20_000)
    kept = histogram(reference, edges(reference))
    for _ in range(400):
        found = histogram(random.normal(size=rows), kept.edges)
        wolves += psi(kept, found) > psi_threshold(kept, found)
    assert wolves <= 4
    found = histogram(random.normal(1.5, size=rows), kept.edges)
    assert psi(kept, found) > psi_threshold(kept, found)


def test_counts_of_parts_are_those_of_the_whole() -> None:
    """Counting some values and then more is counting all of them."""
    values = np.append(np.random.default_rng(4).normal(size=999), np.nan)
    bins = edges(values)
    assert merged(histogram(values[:300], bins), histogram(values[300:], bins)) == histogram(values, bins)


def test_a_code_is_told_by_what_it_stands_for() -> None:
    """Where the values of a category went is said with its value, not with a number that nobody knows."""
    spread = np.repeat(np.arange(4.0), [50, 900, 40, 10])
    before = histogram(spread, edges(spread))
    now = histogram(np.ones(100), before.edges)
    country = next(feature for feature in TRANSACTION.features.features if feature.name == "country")
    assert change(before, now, TRANSACTION.codes(country)) == "it is DE in 100.0% of events, was in 90.0%"
    amount = next(feature for feature in TRANSACTION.features.features if feature.name == "amount")
    assert change(before, now, TRANSACTION.codes(amount)) == "it is 1 in 100.0% of events, was in 90.0%"


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ([1.0, 2.0], [np.nan, np.nan], "it is missing in 100.0% of events, was in 0.0%"),
        ([np.nan, np.nan], [1.0, 1.0], "it is not missing in 100.0% of events, was in 0.0%"),
        (list(range(100)), [-5.0] * 10, "it is below 9.9 in 100.0% of events, was in 10.0%"),
        (list(range(100)), [500.0] * 10, "it is at least 89.1 in 100.0% of events, was in 10.0%"),
        (list(range(100)), [15.0] * 10, "it is from 9.9 to 19.8 in 100.0% of events, was in 10.0%"),
        ([0.0] * 50 + list(range(1, 51)), [0.0] * 10, "it is 0 in 100.0% of events, was in 50.0%"),
    ],
)
def test_a_change_is_told_by_where_values_went(was: list[float], now: list[float], words: str) -> None:
    """The bin that gained most is named by its edges, by its one value, or as missing."""
    before = histogram(np.array(was), edges(np.array(was)))
    assert change(before, histogram(np.array(now), before.edges)) == words


def test_a_code_is_named_in_words() -> None:
    """A value that stands for a category is called what the category is called."""
    before = histogram(np.array([1.0] * 5 + [2.0] * 5), edges(np.array([1.0] * 5 + [2.0] * 5)))
    told = change(before, histogram(np.array([2.0] * 10), before.edges), {2: "online"})
    assert told == "it is online in 100.0% of events, was in 50.0%"
