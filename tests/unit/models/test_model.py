"""A model that scores rows in memory."""

import numpy as np
import pandas as pd
import pytest

from streamscore.models.model import Model
from tests.support.trained import champion, simulated


@pytest.fixture(scope="module")
def model() -> Model:
    """The session's model of transactions."""
    return Model(champion("transaction"))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Simulated transactions, with NaN where a value is missing."""
    frame = pd.DataFrame(simulated("transaction", 500).columns)
    return frame.assign(occurred_at=pd.to_datetime(frame.occurred_at, unit="us"))


def test_a_frame_is_scored(model: Model, frame: pd.DataFrame) -> None:
    """Each row of a frame, missing values among them, has a risk and a decision, under the frame's own index."""
    frame = frame.set_index(np.arange(len(frame)) * 2 + 7)
    scored = model.score(frame)
    assert list(scored.columns) == ["risk", "decision", "error"]
    assert scored.index.equals(frame.index)
    assert scored.error.isna().all(), scored.error.dropna().iloc[:3].tolist()
    assert scored.risk.between(0, 1).all()
    assert set(scored.decision) <= set(model.event_type.decisions)
