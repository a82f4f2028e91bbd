"""The compiled scorer: a trained model, and a linear one whose answers can be worked out by hand."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.batch import SHAPES
from streamscore.core.scoring.bundle import Bundle, Calibration, Scorer, golden_matrix
from streamscore.core.scoring.decision import reasons
from streamscore.core.scoring.scaler import NumericScale, Scaler
from streamscore.errors import SettingsError
from streamscore.models.attribution import EXPLAINED_ROWS
from streamscore.models.keras_scaler import encode
from streamscore.models.keras_scorer import KerasScorer, gpu_names
from streamscore.simulator import streams as simulator
from tests.support.networks import linear, rows_of, scaler_of
from tests.support.paths import ROOT
from tests.support.samples import StubScorer, bundle, by_amount
from tests.support.trained import simulated

ROWS = rows_of(TRANSACTION, SHAPES[-1] + 100)


@pytest.fixture(scope="module")
def scorer(champion_of: Callable[[str], Bundle]) -> Scorer:
    """The session's trained model of transactions."""
    return champion_of("transaction").scorer


@pytest.fixture(scope="module")
def all_risks(scorer: Scorer) -> np.ndarray:
    return scorer.risks(ROWS)


def test_risks_are_probabilities(all_risks: np.ndarray) -> None:
    """One float32 between 0 and 1 for each row, missing values or not, and not all the same."""
    assert all_risks.shape == (len(ROWS),)
    assert all_risks.dtype == np.float32
    assert np.isnan(ROWS).any()
    assert ((all_risks >= 0) & (all_risks <= 1)).all()
    assert np.ptp(all_risks) > 1e-3


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 64, 65, 300, 1025, SHAPES[-1], SHAPES[-1] + 1])
def test_the_batch_does_not_matter(scorer: Scorer, all_risks: np.ndarray, rows: int) -> None:
    """A row has the same risk in a batch of any size and padding, to within 2e-6."""
    assert np.abs(scorer.risks(ROWS[:rows]) - all_risks[:rows]).max() <= 2e-6
    assert np.abs(scorer.risks(ROWS[-rows:]) - all_risks[-rows:]).max() <= 2e-6


def test_no_rows(scorer: Scorer) -> None:
    """No rows have no risks and no contributions."""
    assert scorer.risks(ROWS[:0]).shape == (0,)
    assert scorer.risks(ROWS[:0]).dtype == np.float32
    values, residual = scorer.contributions(ROWS[:0])
    assert (values.shape, residual.shape) == ((0, ROWS.shape[1]), (0,))


def test_the_input_is_left_alone(scorer: Scorer) -> None:
    """Neither scoring nor explaining changes the matrix it was given."""
    given = ROWS[:20].copy()
    scorer.risks(given)
    scorer.contributions(given)
    assert np.array_equal(given, ROWS[:20], equal_nan=True)


def logit(risks: np.ndarray) -> np.ndarray:
    risks = risks.astype(np.float64)
    return np.log(risks / (1 - risks))


def test_contributions_add_up(champion_of: Callable[[str], Bundle]) -> None:
    """On real events, contributions and residual add up to the logit's difference from the baseline's."""
    model = champion_of("transaction")
    matrix = golden_like(model, 3 * EXPLAINED_ROWS + 5)
    values, residual = model.scorer.contributions(matrix)
    total = values.sum(axis=1) + residual
    differences = logit(model.scorer.risks(matrix)) - total
    assert np.ptp(differences) < 1e-3, "the baseline's logit is the same for every row"
    assert np.abs(residual).max() < 1e-3
    assert np.abs(total).max() > 0.1


def golden_like(model: Bundle, rows: int) -> np.ndarray:
    """Feature rows of simulated events."""
    lines = simulator.json_lines(model.event_type, simulated(model.event_type.name, rows))
    return golden_matrix(model.event_type, model.features, lines)


def test_contributions_do_not_depend_on_the_batch(scorer: Scorer) -> None:
    """A row is explained alone as in any batch, also beyond the rows of one call."""
    rows = ROWS[: 2 * EXPLAINED_ROWS + 3]
    together = scorer.contributions(rows)
    for row in (0, EXPLAINED_ROWS, len(rows) - 1):
        alone = scorer.contributions(rows[row : row + 1])
        assert np.allclose(alone.values[0], together.values[row], atol=1e-5)
        assert np.allclose(alone.residual[0], together.residual[row], atol=1e-5)


def test_gpu_without_one() -> None:
    """A GPU that is asked for and not there is an error of the settings."""
    if gpu_names():
        pytest.skip("there is a GPU here")
    scaler = scaler_of()
    with pytest.raises(SettingsError, match="device: gpu is set, but Keras on tensorflow sees no GPU here"):
        KerasScorer(linear(np.zeros(len(scaler.baseline)), 0), scaler, Calibration(), "gpu")


def test_cpu_is_named() -> None:
    """The device says where the model runs and on which backend."""
    scaler = scaler_of()
    network = linear(np.zeros(len(scaler.baseline)), 0)
    assert KerasScorer(network, scaler, Calibration(), "cpu").device == "cpu, tensorflow"


def test_scaling_by_hand() -> None:
    """A number becomes a clipped and a logged column and a flag; a category one column per code."""
    column = NumericScale(feature="a", center=10, scale=4, log_unit=4, log_mean=1, log_scale=2, missing=True)
    scaler = Scaler(columns=(column,), baseline=(0, 0, 0))
    rows = np.array([[10.0], [22.0], [-1e6], [np.nan]], np.float32)
    found = np.asarray(encode(rows, scaler))
    z = np.array([0.0, 3.0, -250002.5, 0.0])
    logged = np.sign([10, 22, -1, 10]) * np.log(1 + np.array([10, 22, 1e6, 10]) / 4)
    assert np.allclose(found[:, 0], z / np.sqrt(1 + (z / 3) ** 2), atol=1e-5)
    assert np.allclose(found[:, 1], (logged - 1) / 2, atol=1e-5)
    assert found[:, 2].tolist() == [0, 0, 0, 1]
    codes = scaler_of().columns[-1]
    one_hot = np.asarray(encode(np.array([[0.0], [2.0]], np.float32), Scaler(columns=(codes,), baseline=(0,) * 18)))
    assert one_hot.sum() == 2
    assert (one_hot[0, 0], one_hot[1, 2]) == (1, 1)


def driven(name: str, strength: float) -> tuple[KerasScorer, Scaler]:
    """A linear model of applications in which one feature, and age, drive the risk."""
    scaler = scaler_of(APPLICATION)
    names = APPLICATION.features.names
    weights = np.zeros(len(scaler.baseline))
    weights[np.flatnonzero(scaler.owners == names.index(name))] = strength
    weights[np.flatnonzero(scaler.owners == names.index("age"))] = 5.0
    return KerasScorer(linear(weights, 0.25), scaler, Calibration(slope=2.0, intercept=-1.0)), scaler


@pytest.mark.parametrize("name", ["missed_payments", "purpose"])
def test_a_known_driver_is_the_reason(name: str) -> None:
    """Where one feature drives the risk, it is the one reason, with exactly its share of the logit."""
    scorer, scaler = driven(name, 0.7)
    names = APPLICATION.features.names
    row = rows_of(APPLICATION, 1)
    row[0, names.index(name)] = 5.0
    row[0, names.index("age")] = 90.0
    scaled = np.asarray(encode(row, scaler), np.float64)[0]
    mine = scaler.owners == names.index(name)
    expected = 2.0 * 0.7 * (scaled[mine] - np.array(scaler.baseline)[mine]).sum()
    contributions = scorer.contributions(row)
    assert contributions.values[0, names.index(name)] == pytest.approx(expected, abs=1e-4)
    assert abs(contributions.residual[0]) < 1e-3
    model = bundle(APPLICATION, StubScorer(by_amount))
    (found,) = reasons(model, row, contributions)
    (reason,) = found
    assert reason.code == name
    assert reason.contribution == pytest.approx(expected, abs=1e-3)


def test_calibration_is_applied() -> None:
    """The risk is the sigmoid of slope times logit plus intercept."""
    scaler = scaler_of()
    network = linear(np.zeros(len(scaler.baseline)), 0.5)
    risks = KerasScorer(network, scaler, Calibration(slope=2, intercept=-3)).risks(ROWS[:1])
    assert risks[0] == pytest.approx(1 / (1 + np.exp(2)), abs=1e-6)


JAX = """
import sys
import numpy as np
from streamscore.core.scoring.bundle import Calibration
from streamscore.core.scoring.scaler import Scaler
from streamscore.models.keras_scorer import KerasScorer, load_network
folder = sys.argv[1]
scaler = Scaler.model_validate_json(open(f"{folder}/scaler.json").read())
calibration = Calibration.model_validate_json(open(f"{folder}/calibration.json").read())
scorer = KerasScorer(load_network(f"{folder}/model.keras"), scaler, calibration)
assert scorer.device.endswith("jax"), scorer.device
assert "tensorflow" not in sys.modules
rows = np.load(f"{folder}/rows.npy", allow_pickle=False)
values, residual = scorer.contributions(rows[:40])
np.savez(f"{folder}/out.npz", risks=scorer.risks(rows), values=values, residual=residual)
"""


def test_jax_gives_the_same(champion_of: Callable[[str], Bundle], models: Path, tmp_path: Path) -> None:
    """The same bundle on the JAX backend gives TensorFlow's risks to 1e-5 and its contributions to 1e-3."""
    pytest.importorskip("jax")
    model = champion_of("transaction")
    files = models / "transaction" / model.manifest.version
    for name in ("model.keras", "scaler.json"):
        (tmp_path / name).write_bytes((files / name).read_bytes())
    (tmp_path / "calibration.json").write_text(model.manifest.calibration.model_dump_json())
    np.save(tmp_path / "rows.npy", ROWS[:200])
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "ignore", "-c", JAX, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "out.npz", allow_pickle=False) as found:
        assert np.abs(found["risks"] - model.scorer.risks(ROWS[:200])).max() <= 1e-5
        ours = model.scorer.contributions(ROWS[:40])
        assert np.abs(found["values"] - ours.values).max() <= 1e-3
        assert np.abs(found["residual"] - ours.residual).max() <= 1e-3
