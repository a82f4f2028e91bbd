"""Fixed point: squares in limbs and standard deviations from exact sums."""

from math import isnan
from statistics import stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamscore.core.events.aggregate import LARGEST_SCALED
from streamscore.core.history.measure import LIMB, SumColumn, added, deviation

SCALED = st.integers(-LARGEST_SCALED + 1, LARGEST_SCALED - 1)


def limbs(values: list[int]) -> tuple[list[int], list[int]]:
    columns = {"x": np.array(values, np.float64)}
    return added(SumColumn("high", "x", 0), columns).tolist(), added(SumColumn("low", "x", 0), columns).tolist()


@settings(deadline=None)
@given(st.lists(SCALED, min_size=1))
def test_limbs_are_the_square(values: list[int]) -> None:
    """Both limbs together are the exact square, and small enough for the sum of 2**25 of them."""
    for value, high, low in zip(values, *limbs(values), strict=True):
        assert (high << LIMB) + low == value**2
        assert 0 <= high < 2**38
        assert 0 <= low < 2**LIMB


@settings(deadline=None)
@given(st.lists(SCALED, min_size=2, max_size=50), st.integers(0, 2**20))
def test_deviation_is_exact(values: list[int], spread: int) -> None:
    """The deviation is right to the last bits also where values are huge and hardly differ."""
    close = [LARGEST_SCALED - 1 - spread - abs(value) % 7 for value in values]
    for sample in (values, close):
        high, low = limbs(sample)
        sums = (np.array([n]) for n in (len(sample), sum(sample), sum(high), sum(low)))
        assert deviation(*sums)[0] == pytest.approx(stdev(sample), rel=1e-14, abs=0)


def test_largest_sums() -> None:
    """2**25 values at the end of the range overflow nothing: half of them at each end have that deviation."""
    n, value = 1 << 25, LARGEST_SCALED - 1
    high, low = (np.array([limb[0] * n]) for limb in limbs([value]))
    assert high[0] < 2**63
    assert low[0] < 2**63
    found = deviation(np.array([n]), np.array([0]), high, low)[0]
    assert found == pytest.approx(value * (n / (n - 1)) ** 0.5, rel=1e-14)
    assert deviation(np.array([n]), np.array([-n * value]), high, low)[0] == 0


def test_one_value_has_no_deviation() -> None:
    """Below two values there is no sample to speak of."""
    none = np.array([0, 1])
    assert all(map(isnan, deviation(none, none, none, none)))


def test_missing_values_add_nothing() -> None:
    """A missing number adds 0 to its sum, and is not counted as given."""
    columns = {"x": np.array([1.005, np.nan, -2.5])}
    assert added(SumColumn("value", "x", 2), columns).tolist() == [100, 0, -250]
    assert added(SumColumn("given", "x"), columns).tolist() == [1, 0, 1]
