"""Networks on waves or pieces of columns: what they find that plain layers do not; their files are served alike."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from streamscore.core.scoring.bundle import Calibration
from streamscore.models.attribution import EXPLAINED_ROWS, halves, integrated, whole
from streamscore.models.keras_scorer import KerasScorer
from tests.support.learnable import NUMBERS, Lesson, features, parts, precision
from trainer.fitting.presets import as_file
from trainer.fitting.user_network import read_back

EACH = pytest.mark.parametrize("preset", ["periodic", "piecewise"])


@cache
def bands() -> Lesson:
    """Rows that are positive where x0 lies in one of three narrow bands, as after a few splits of a tree."""
    random = np.random.default_rng(0)
    matrix = random.normal(0, 1, (12_000, NUMBERS)).astype(np.float32)
    near = np.abs(matrix[:, :1] - np.array([-0.8, 0.1, 0.9])).min(axis=1)
    return parts(features(), matrix, near < 0.1)


@cache
def taught(preset: str) -> Any:
    """A network of a preset, or two side by side as one, that has seen those rows as often as the others."""
    return bands().fitted(preset=preset, dropout=0, epochs=12, members=1 if preset == "default" else 2)


@EACH
def test_narrow_bands_of_values_are_found(preset: str) -> None:
    """0.99 of average precision, where plain layers reach 0.27."""
    plain, found = (precision(taught(name), bands().test) for name in ("default", preset))
    assert found > plain + 0.5


@EACH
def test_reasons_of_narrow_bands_add_up(preset: str) -> None:
    """To a thousandth of a logit, and they name x0; on a path in the columns themselves they miss hundreds of these."""
    network = taught(preset)
    scaled = bands().test.subsample(EXPLAINED_ROWS).scaled()[:EXPLAINED_ROWS]
    baseline = np.asarray(bands().train.scaler.baseline, np.float32)
    differences = np.asarray(network(scaled) - network(baseline[None, :]))[:, 0]
    assert np.ptp(differences) > 3
    shares, rough = (np.asarray(integrated(one(network), scaled, baseline)) for one in (halves, whole))
    assert np.abs(differences - shares.sum(axis=1)).max() < 1e-3
    assert np.abs(differences - rough.sum(axis=1)).max() > 0.1
    # Each feature is two scaled columns.
    assert np.abs(shares[:, :2]).sum() > 0.8 * np.abs(shares).sum()


@EACH
def test_its_file_is_served_as_it_was_fitted(preset: str) -> None:
    """Risks of the network read back are those of the one that was fitted; so are those of several as one."""
    given = bands()
    network = given.fitted(preset=preset, epochs=1, members=2)
    matrix = np.random.default_rng(3).normal(0, 1, (16, NUMBERS)).astype(np.float32)
    risks = [
        KerasScorer(one, given.train.scaler, Calibration()).risks(matrix)
        for one in (network, read_back(as_file(network)))
    ]
    assert np.ptp(risks[0]) > 1e-3
    assert np.abs(risks[0] - risks[1]).max() <= 2e-5
