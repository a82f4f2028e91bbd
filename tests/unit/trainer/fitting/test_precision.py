"""Training in fewer bits: other numbers on the way, a model of float32 in the end."""

import json
import zipfile
from io import BytesIO

import numpy as np
import pytest

from streamscore.core.scoring.bundle import RISK_TOLERANCE
from tests.support.learnable import close_together, lesson, precision
from trainer.fitting.fit import logits
from trainer.fitting.presets import as_file
from trainer.fitting.user_network import read_back

GIVEN = lesson(1500)


@pytest.mark.parametrize("fewer", ["mixed_bfloat16", "mixed_float16"])
def test_a_model_trained_in_fewer_bits(fewer: str) -> None:
    """Its weights are others, it ranks as well within 0.03, its file is float32 and reads back within the gate."""
    full, mixed = (GIVEN.fitted(members=2, epochs=2, precision=policy) for policy in ("float32", fewer))
    away = max(np.abs(a - b).max() for a, b in zip(full.get_weights(), mixed.get_weights(), strict=True))
    assert away > 1e-4
    assert precision(mixed, GIVEN.test) > precision(full, GIVEN.test) - 0.03
    content = as_file(mixed)
    config = json.loads(zipfile.ZipFile(BytesIO(content)).read("config.json"))
    assert "mixed" not in json.dumps(config)
    risks = [1 / (1 + np.exp(-logits(network, GIVEN.test))) for network in (mixed, read_back(content))]
    assert np.abs(risks[0] - risks[1]).max() <= RISK_TOLERANCE
    assert len(np.unique(risks[0])) > 2950


def test_pieces_stay_exact() -> None:
    """Where a column is told apart by less than fewer bits can say, as here 100 from 100.2, nothing is lost of it."""
    given = close_together(4, 0.002)
    assert precision(given.fitted(preset="piecewise", epochs=8, precision="mixed_bfloat16"), given.test) > 0.95
