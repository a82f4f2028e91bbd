"""How numbers are scaled: what a kind is worth on a column it suits, and that the right one is chosen."""

import numpy as np
import pytest
from pydantic import ValidationError

from streamscore.core.scoring.scaler import NumericScale, QuantileScale, Scaler
from tests.support.learnable import Lesson, auc, features
from trainer.data.part import whole
from trainer.fitting.fit import fit
from trainer.fitting.scaler_choice import scaler_for
from trainer.fitting.scaling import fit_scaler, scaled
from trainer.settings import TrainingSettings

FEATURES = features(2)
ROWS = 8000


def clustered() -> tuple[np.ndarray, np.ndarray]:
    """x0 lies close around 1, or close around 1,000: only its place in its own cluster tells. x1 is plain."""
    random = np.random.default_rng(4)
    place = random.random(ROWS)
    far = random.random(ROWS) < 0.5
    x0 = np.where(far, 1000 + 300 * place, place)
    plain = random.normal(0, 1, ROWS)
    rank = np.argsort(np.argsort(x0)) / ROWS
    odds = 8 * (rank - 0.5) + plain + random.logistic(0, 1, ROWS)
    return np.column_stack([x0, plain]).astype(np.float32), odds > 0


def counted() -> tuple[np.ndarray, np.ndarray]:
    """x0 is 0 in 95 of 100 rows, and spans decades in the others, where its rank tells; x1 is noise."""
    random = np.random.default_rng(5)
    some = random.random(ROWS) < 0.05
    rank = random.random(ROWS)
    odds = np.where(some, 6 * (rank - 0.3), -2) + random.logistic(0, 0.5, ROWS)
    x0 = np.where(some, np.exp(3 * rank), 0)
    return np.column_stack([x0, random.normal(0, 1, ROWS)]).astype(np.float32), odds > 0


def reached(table: tuple[np.ndarray, np.ndarray], kind: str) -> tuple[float, Scaler]:
    """The AUC of a logistic regression on scaled columns, and the scaler."""
    matrix, labels = table
    settings = TrainingSettings(preset="logistic", epochs=4, batch=128, learning_rate=0.1, scaler=kind)
    cuts = (slice(0, 4000), slice(4000, 6000), slice(6000, ROWS))
    scaler = scaler_for(FEATURES, (matrix[cuts[0]], labels[cuts[0]]), (matrix[cuts[1]], labels[cuts[1]]), settings)
    given = Lesson(*(whole(matrix, labels, scaler).take(rows) for rows in cuts))
    network = fit(given.train, given.validation, settings, lambda _: None)
    return auc(network, given.test), scaler


def test_places_tell_what_multiples_do_not() -> None:
    """Where only the rank tells, quantiles rank better by 0.01 or more, and auto chooses them there, not elsewhere."""
    table = clustered()
    found = {kind: reached(table, kind) for kind in ("robust", "standard", "quantile", "auto")}
    assert found["quantile"][0] > max(found["robust"][0], found["standard"][0]) + 0.01
    assert found["auto"][0] > found["robust"][0] + 0.01
    first, second = found["auto"][1].columns
    assert isinstance(first, QuantileScale)
    assert isinstance(second, NumericScale)


def test_knots_lie_where_values_differ() -> None:
    """Of a column that is mostly 0, one knot is 0 and the others lie among the rest; all of them are told apart."""
    matrix, _ = counted()
    column = fit_scaler(FEATURES, matrix, {"x0": "quantile"}).columns[0]
    assert isinstance(column, QuantileScale)
    assert sum(knot > 0 for knot in column.knots) >= 20
    assert column.knots[0] == 0
    scaler = fit_scaler(FEATURES, matrix, {"x0": "quantile"})
    places = scaled(scaler, np.array([[0, 0], [1, 0], [5, 0], [15, 0], [1e9, 0], [np.nan, 0]], np.float32))[:, 0]
    assert places[0] == places[5] == pytest.approx(-(3**0.5))
    assert (np.diff(places[1:5]) > 0.1).all()
    assert places[4] == pytest.approx(3**0.5)


def test_what_was_kept_still_loads() -> None:
    """A scaler without quantiles is written as before; one with knots reads back equal, and bad knots are refused."""
    matrix, _ = clustered()
    assert "knots" not in fit_scaler(FEATURES, matrix).model_dump_json()
    scaler = fit_scaler(FEATURES, matrix, {"x0": "quantile", "x1": "standard"})
    assert Scaler.model_validate_json(scaler.model_dump_json()) == scaler
    standard = scaler.columns[1]
    assert isinstance(standard, NumericScale)
    assert standard.center == pytest.approx(matrix[:, 1].mean(), abs=1e-5)
    with pytest.raises(ValidationError, match="do not rise"):
        QuantileScale(feature="a", center=0, knots=(1, 1), log_unit=1, log_mean=0, log_scale=1, missing=False)


def test_one_value_has_no_quantiles() -> None:
    """A column of one value, or of none, is scaled as a multiple whatever is asked for."""
    matrix = np.column_stack([np.full(50, 3.0), np.full(50, np.nan)]).astype(np.float32)
    scaler = fit_scaler(FEATURES, matrix, {"x0": "quantile", "x1": "quantile"})
    assert all(isinstance(column, NumericScale) for column in scaler.columns)
    assert np.isfinite(scaled(scaler, matrix)).all()
