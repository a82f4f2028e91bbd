"""Laws that every scorer keeps, whatever network it holds."""

from functools import cache

import numpy as np
import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Calibration
from streamscore.models.attribution import EXPLAINED_ROWS
from streamscore.models.keras_scorer import KerasScorer
from tests.support.networks import network_of, rows_of, scaler_of
from trainer.fitting.presets import NETWORKS

ROWS = rows_of(TRANSACTION, 300)
CALIBRATION = Calibration(slope=0.8, intercept=-0.5)
EACH = pytest.mark.parametrize("preset", list(NETWORKS))


@cache
def scorer_of(preset: str) -> KerasScorer:
    scaler = scaler_of()
    return KerasScorer(network_of(preset, scaler), scaler, CALIBRATION, "cpu")


@cache
def risks_of(preset: str) -> np.ndarray:
    return scorer_of(preset).risks(ROWS)


@EACH
def test_one_probability_a_row(preset: str) -> None:
    """One float32 between 0 and 1 for each row, and rows are told apart."""
    risks = risks_of(preset)
    assert risks.shape == (len(ROWS),)
    assert risks.dtype == np.float32
    assert ((risks >= 0) & (risks <= 1)).all()
    assert np.ptp(risks) > 0.05


@EACH
def test_the_same_again(preset: str) -> None:
    """The same rows give the same risks to the last bit: no dropout, no chance."""
    assert np.array_equal(scorer_of(preset).risks(ROWS), risks_of(preset))


@EACH
@pytest.mark.parametrize("rows", [1, 16, 17, 60])
def test_batch_size_does_not_matter(preset: str, rows: int) -> None:
    """A row's risk is the same in batches of other sizes, to within 2e-6."""
    assert np.abs(scorer_of(preset).risks(ROWS[:rows]) - risks_of(preset)[:rows]).max() <= 2e-6


@EACH
def test_rows_do_not_matter_to_each_other(preset: str) -> None:
    """In another order, and beside rows of NaN and of huge numbers, a row keeps its risk."""
    order = np.random.default_rng(0).permutation(len(ROWS))
    assert np.abs(scorer_of(preset).risks(ROWS[order]) - risks_of(preset)[order]).max() <= 2e-6
    wild = ROWS.copy()
    wild[1::2] = np.where(np.arange(ROWS.shape[1]) % 2, np.nan, 1e9)
    assert np.abs(scorer_of(preset).risks(wild)[::2] - risks_of(preset)[::2]).max() <= 2e-6


@EACH
def test_nothing_known_is_still_a_risk(preset: str) -> None:
    """A row of which nothing is known has a risk, not NaN."""
    assert np.isfinite(scorer_of(preset).risks(np.full((1, ROWS.shape[1]), np.nan, np.float32))).all()


@EACH
def test_contributions(preset: str) -> None:
    """Contributions are finite, one per row and feature, repeat, and add up with the residual to the logits."""
    rows = ROWS[: EXPLAINED_ROWS + 3]
    found, again = (scorer_of(preset).contributions(rows) for _ in range(2))
    assert found.values.shape == rows.shape
    assert found.residual.shape == (len(rows),)
    assert np.isfinite(found.values).all()
    assert np.array_equal(found.values, again.values)
    risks = risks_of(preset)[: len(rows)].astype(np.float64)
    inside = (risks > 1e-3) & (risks < 1 - 1e-3)
    total = np.log(risks / (1 - risks)) - found.values.sum(axis=1) - found.residual
    assert inside.sum() > 5
    assert np.ptp(total[inside]) < 1e-3
