"""Columns in pieces: where their ends lie, what is between, and what stays when there is little to split."""

import keras
import numpy as np
import pytest

from streamscore.core.scoring.bundle import Calibration
from streamscore.core.scoring.scaler import Scaler
from streamscore.errors import SettingsError
from streamscore.models.keras_scorer import KerasScorer
from tests.support.learnable import NUMBERS, Lesson, close_together, features, parts, precision
from trainer.data.part import Part, whole
from trainer.fitting.bin_edges import ends
from trainer.fitting.embedding import ENDS, PIECES, SLOPES, in_pieces, lay_out
from trainer.fitting.fit import logits
from trainer.fitting.presets import side_by_side
from trainer.fitting.scaling import fit_scaler
from trainer.settings import TeacherSettings, TrainingSettings

SETTINGS = TrainingSettings(preset="piecewise", teacher=TeacherSettings(trees=20))


def beside(seed: int) -> Lesson:
    """Half the rows are positive, and no column alone says which: inside narrow bands of x0 the sign of x1 turns."""
    random = np.random.default_rng(seed)
    matrix = random.normal(0, 1, (12_000, NUMBERS)).astype(np.float32)
    inside = np.abs(matrix[:, :1] - np.array([-0.8, 0.1, 0.9])).min(axis=1) < 0.1
    return parts(features(), matrix, inside ^ (matrix[:, 1] > 0))


def of(matrix: np.ndarray, labels: np.ndarray) -> Part:
    """All rows of a matrix as a part with its own scaler."""
    return whole(matrix, labels, fit_scaler(features(matrix.shape[1]), matrix))


def test_pieces_end_where_labels_change() -> None:
    """A band that only another column gives a sense is found too."""
    random = np.random.default_rng(1)
    matrix = random.normal(0, 1, (8000, 2)).astype(np.float32)
    part = of(matrix, (np.abs(matrix[:, 0] - 0.5) < 0.2) & (matrix[:, 1] > 0.3))
    scaled = np.asarray(part.scaled())
    found = ends(part, SETTINGS)
    for values, column in ((0.3, 0), (0.7, 0), (0.3, 1)):
        # Each feature is two scaled columns, of which the first is its size.
        there = np.interp(values, np.sort(matrix[:, column]), np.sort(scaled[:, 2 * column]))
        assert np.abs(found[2 * column] - there).min() < 0.02


def test_ends_are_ascending_and_reach_over_all_rows() -> None:
    """From the least value to the greatest, in so many pieces at most; the same settings give the same."""
    given = beside(0)
    found, scaled = ends(given.train, SETTINGS), np.asarray(given.train.scaled())
    for column, edges in enumerate(found):
        assert 1 < len(edges) <= PIECES + 1
        assert (np.diff(edges) > 0).all()
        assert edges[[0, -1]] == pytest.approx([scaled[:, column].min(), scaled[:, column].max()], abs=1e-4)
    again = ends(given.train, SETTINGS)
    assert all(np.array_equal(one, other) for one, other in zip(found, again, strict=True))


def test_columns_without_splits() -> None:
    """One that is always the same, one that is always missing, and rows of one label: nothing to tell apart."""
    matrix = np.random.default_rng(2).normal(0, 1, (500, 3)).astype(np.float32)
    matrix[:, 0], matrix[:, 1] = 7, np.nan
    part = of(matrix, matrix[:, 2] > 0)
    assert {len(edges) for edges in ends(part, SETTINGS)[:4]} == {1}
    nobody = ends(part._replace(labels=np.zeros(500, bool)), SETTINGS)
    assert max(map(len, nobody)) == 2
    network = side_by_side(part.scaler, SETTINGS)
    lay_out(network, ends(part, SETTINGS))
    assert np.isfinite(np.asarray(network(part.scaled()))).all()


def test_every_member_is_laid_out() -> None:
    """A piece is 0 at its lower end and 1 at its upper end, in each of several networks side by side."""
    given = beside(0)
    network = side_by_side(given.train.scaler, SETTINGS.model_copy(update={"members": 2}))
    laid = ends(given.train, SETTINGS)
    lay_out(network, laid)
    slopes, offsets = (
        [weights.numpy() for weights in network.weights if weights.path.endswith(ending)] for ending in (SLOPES, ENDS)
    )
    assert len(slopes) == 2
    edges = laid[0]
    for slope, offset in zip(slopes, offsets, strict=True):
        at = (edges[:, None] + offset[0]) * slope[0]
        count = len(edges) - 1
        np.testing.assert_allclose(np.diag(at[:-1, :count]), 0, atol=1e-3)
        np.testing.assert_allclose(np.diag(at[1:, :count]), 1, atol=1e-3)


def test_short_pieces_give_the_same_risk_however_they_are_compiled() -> None:
    """One of 0.0001 rises by 10,000: as a product and an offset, risks were 0.003 apart."""
    given = close_together(1, 0.0001)
    network = given.fitted(preset="piecewise", dropout=0, epochs=8)
    step_by_step = 1 / (1 + np.exp(-logits(network, given.test)))
    compiled = KerasScorer(network, given.train.scaler, Calibration()).risks(given.test.features())
    assert np.ptp(compiled) > 0.9
    assert np.abs(compiled - step_by_step).max() < 2e-6


def of_some(scaler: Scaler, settings: TrainingSettings) -> keras.Model:
    """One that lays out what is not the scaled columns."""
    inputs = keras.Input((len(scaler.baseline),))
    return keras.Model(inputs, keras.layers.Dense(1)(in_pieces(inputs[:, :2])))


def test_a_network_of_ones_own_is_laid_out_too() -> None:
    """Where its rows are split; other columns are refused."""
    given = beside(0)
    laid = given.fitted(preset="tests.support.networks:of_pieces", epochs=1)
    (lower,) = [weights.numpy() for weights in laid.weights if weights.path.endswith(ENDS)]
    assert lower[0, 0] == pytest.approx(-np.asarray(given.train.scaled())[:, 0].min(), abs=1e-4)
    with pytest.raises(SettingsError, match="in_pieces takes the 8 scaled columns, and was given 2"):
        given.fitted(preset=f"{__name__}:of_some", epochs=1)


def test_what_counts_beside_another_column_is_found() -> None:
    """0.81 and 1.00 of average precision: no column says it alone, but trees of all of them split where it turns."""
    given = beside(3)
    plain, found = (
        precision(given.fitted(preset=name, dropout=0, epochs=12), given.test) for name in ("default", "piecewise")
    )
    assert found > plain + 0.1
