"""Laws that every scorer keeps, whatever network it holds."""

from functools import cache

import numpy as np
import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Calibration
from streamscore.models.attribution import EXPLAINED_ROWS
from streamscore.models.keras_scorer import KerasScorer
from streamscore.testing import check_scorer
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
def test_the_shipped_laws_hold(preset: str) -> None:
    """Risks repeat and depend on their row alone; contributions repeat and add up to the logits."""
    check_scorer(scorer_of(preset), ROWS[: EXPLAINED_ROWS + 3])


@EACH
@pytest.mark.parametrize("rows", [1, 16, 17, 60])
def test_batch_size_does_not_matter(preset: str, rows: int) -> None:
    """A row's risk is the same in batches of other sizes, to within 2e-6."""
    assert np.abs(scorer_of(preset).risks(ROWS[:rows]) - risks_of(preset)[:rows]).max() <= 2e-6


@EACH
def test_rows_do_not_matter_to_each_other(preset: str) -> None:
    """In any other order a row keeps its risk."""
    order = np.random.default_rng(0).permutation(len(ROWS))
    assert np.abs(scorer_of(preset).risks(ROWS[order]) - risks_of(preset)[order]).max() <= 2e-6
