"""The scaler as a value: which scaled columns are whose, and what it refuses."""

import pytest
from pydantic import ValidationError

from streamscore.core.scoring.scaler import CategoryScale, NumericScale, QuantileScale, Scaler, scaled_width

PLAIN = {"center": 0.0, "log_unit": 1.0, "log_mean": 0.0, "log_scale": 1.0}
AMOUNT = NumericScale(feature="amount", scale=1.0, missing=True, **PLAIN)
AGE = QuantileScale(feature="age", knots=(18.0, 40.0, 90.0), missing=False, **PLAIN)
CHANNEL = CategoryScale(feature="channel", categories=3)


def test_each_feature_has_its_columns() -> None:
    """A number has two columns and a third where it can be missing, a category one per code, in the order given."""
    scaler = Scaler(columns=(AMOUNT, AGE, CHANNEL), baseline=(0.0,) * 8)
    assert [scaled_width(column) for column in scaler.columns] == [3, 2, 3]
    assert scaler.owners.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert scaler.places == {"amount": slice(0, 3), "age": slice(3, 5), "channel": slice(5, 8)}


def test_a_baseline_of_another_width_is_refused() -> None:
    """The typical event has as many columns as the scaler."""
    with pytest.raises(ValidationError, match="baseline has 7 columns, the scaler 8"):
        Scaler(columns=(AMOUNT, AGE, CHANNEL), baseline=(0.0,) * 7)


@pytest.mark.parametrize("knots", [(), (1.0,), (1.0, 1.0), (2.0, 1.0)])
def test_knots_that_do_not_rise_are_refused(knots: tuple[float, ...]) -> None:
    """Fewer than two knots, equal ones and falling ones are no scale."""
    with pytest.raises(ValidationError, match="do not rise"):
        QuantileScale(feature="age", knots=knots, missing=False, **PLAIN)
