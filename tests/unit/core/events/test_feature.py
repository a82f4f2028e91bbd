"""Feature functions on values whose answer is known, and the matrix they make."""

from datetime import UTC, datetime

import numpy as np
import pytest

from streamscore.core.events.application import instalment_to_income
from streamscore.core.events.feature import (
    Feature,
    FeatureSet,
    as_is,
    hour_of_day,
    is_missing,
    is_night,
    is_weekend,
    log1p,
    ratio,
)
from streamscore.core.events.field import microseconds
from streamscore.core.events.transaction import crosses_border, is_round_amount


def at(*times: str) -> np.ndarray:
    return microseconds([datetime.fromisoformat(time).replace(tzinfo=UTC) for time in times])


def test_hour_of_day_has_fractions() -> None:
    """The hour is 0 at midnight, 13.5 at half past one, and never 24."""
    hours = hour_of_day(at("2025-03-04T00:00:00", "2025-03-04T13:30:00", "2025-03-04T23:59:59.999999"))
    assert hours[:2].tolist() == [0.0, 13.5]
    assert 23.99 < hours[2] < 24


def test_night_ends_at_seven() -> None:
    """Night is from midnight to 06:59."""
    times = at("2025-03-04T00:00:00", "2025-03-04T06:59:59.999999", "2025-03-04T07:00:00", "2025-03-04T23:59:00")
    assert is_night(times).tolist() == [1.0, 1.0, 0.0, 0.0]


def test_weekend_is_saturday_and_sunday() -> None:
    """Each day of a known week, and the two edges of a weekend."""
    week = at(*(f"2025-06-0{day}T12:00:00" for day in range(2, 9)))  # Monday to Sunday
    assert is_weekend(week).tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert is_weekend(at("2025-06-06T23:59:59.999999", "2025-06-07T00:00:00", "2025-06-09T00:00:00")).tolist() == [
        0,
        1,
        0,
    ]


def test_ratio_of_nothing_is_missing() -> None:
    """A ratio is NaN, not infinity, where the denominator is zero, negative or missing."""
    ratios = ratio(np.array([6.0, 1.0, 1.0, 1.0, np.nan]), np.array([3.0, 0.0, -2.0, np.nan, 2.0]))
    assert ratios[0] == 2
    assert np.isnan(ratios[1:]).all()


def test_instalment_to_income_is_monthly() -> None:
    """1,200 over 12 months is a tenth of 12,000 a year."""
    assert instalment_to_income(np.array([1200.0]), np.array([12.0]), np.array([12_000.0])).tolist() == [0.1]


def test_small_functions() -> None:
    """as_is, log1p, is_missing, crosses_border and is_round_amount do what they are called."""
    values = np.array([0.0, 10.0, 15.0, np.nan])
    assert as_is(values) is values
    assert np.allclose(log1p(values[:2]), [0, np.log(11)])
    assert is_missing(values).tolist() == [0, 0, 0, 1]
    assert is_round_amount(values[:3]).tolist() == [1, 1, 0]
    crossed = crosses_border(np.array([1, 2, 0]), np.array([1, 1, 1]))
    assert crossed[:2].tolist() == [0, 1]
    assert np.isnan(crossed[2]), "an unknown country may be the home country"


def minus(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a - b


FEATURES = FeatureSet(
    (
        Feature("plain", ("a",), as_is, "a"),
        Feature("difference", ("b", "a"), minus, "b − a"),
        Feature("code", ("c",), as_is, "c", categories=3),
    )
)
COLUMNS = {"a": np.array([1.0, 2.0]), "b": np.array([5.0, 5.0]), "c": np.array([0, 2])}


def test_matrix_is_float32_in_order() -> None:
    """The matrix has one float32 column per feature, each fed its fields in its own order."""
    matrix = FEATURES.matrix(COLUMNS, 2)
    assert matrix.dtype == np.float32
    assert matrix.tolist() == [[1, 4, 0], [2, 3, 2]]


def test_matrix_of_no_rows_keeps_its_width() -> None:
    """No events make a matrix of no rows and all columns."""
    assert FEATURES.matrix({name: values[:0] for name, values in COLUMNS.items()}, 0).shape == (0, 3)


def test_select_takes_the_order_asked_for() -> None:
    """A model's features are chosen by name, in the model's order."""
    chosen = FEATURES.select(["code", "plain"])
    assert chosen.names == ("code", "plain")
    assert chosen.matrix(COLUMNS, 2).tolist() == [[0, 1], [2, 2]]


def test_select_names_the_unknown_one() -> None:
    """A feature that does not exist is named by the KeyError."""
    with pytest.raises(KeyError, match="gone"):
        FEATURES.select(["plain", "gone"])
