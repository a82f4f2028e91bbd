"""Networks on waves or pieces of columns: what they find that plain layers do not; their files are served alike."""

import numpy as np
import pytest

from streamscore.core.bundle import Calibration
from streamscore.scorer import KerasScorer
from tests.learnable import NUMBERS, Lesson, features, parts, precision
from trainer.network import as_file
from trainer.own_network import read_back

pytestmark = pytest.mark.usefixtures("quick_warming")
EACH = pytest.mark.parametrize("preset", ["periodic", "piecewise"])


def bands() -> Lesson:
    """Rows that are positive where x0 lies in one of three narrow bands, as after a few splits of a tree."""
    random = np.random.default_rng(0)
    matrix = random.normal(0, 1, (12_000, NUMBERS)).astype(np.float32)
    near = np.abs(matrix[:, :1] - np.array([-0.8, 0.1, 0.9])).min(axis=1)
    return parts(features(), matrix, near < 0.1)


@EACH
def test_narrow_bands_of_values_are_found(preset: str) -> None:
    """Both have seen the same rows as often: 0.27 of average precision and 0.99."""
    given = bands()
    plain, found = (
        precision(given.fitted(preset=name, dropout=0, epochs=12), given.test) for name in ("default", preset)
    )
    assert found > plain + 0.5


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
