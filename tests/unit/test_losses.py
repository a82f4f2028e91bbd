"""What a loss, penalties and patience do to a fit, in numbers."""

from typing import Any

import numpy as np
import pytest

from streamscore.errors import SettingsError
from tests.learnable import auc, errors, lesson
from trainer.cli_options import parsed
from trainer.fit import logits

GIVEN = lesson()
PLAIN = GIVEN.fitted()


@pytest.mark.parametrize(
    ("settings", "raw"),
    [({"positive_weight": "balanced"}, 0.2), ({"positive_weight": 5}, 0.15), ({"focal_gamma": 2}, 0.1)],
)  # fmt: skip
def test_a_loss_that_is_not_plain_is_put_right(settings: dict[str, Any], raw: float) -> None:
    """Weights and focusing make raw risks wrong by more than a bar; calibrated they are as right as those without."""
    network = GIVEN.fitted(**settings)
    before, after = errors(network, GIVEN)
    assert before > raw
    assert after < 0.02
    assert auc(network, GIVEN.test) > 0.75


def test_a_weight_moves_the_odds() -> None:
    """Positives of weight 5 raise the mean odds about fivefold; balanced ones make the mean risk a half."""
    labels = GIVEN.test[1]
    plain, heavy, even = (
        logits(GIVEN.fitted(preset="logistic", learning_rate=0.2, positive_weight=weight), GIVEN.test[0])
        for weight in (1, 5, "balanced")
    )
    assert np.exp((heavy - plain).mean()) == pytest.approx(5, rel=0.25)
    assert (1 / (1 + np.exp(-plain))).mean() == pytest.approx(labels.mean(), abs=0.02)
    assert (1 / (1 + np.exp(-even[labels]))).mean() > 0.6


def test_focusing_makes_logits_small() -> None:
    """With gamma 2 what is nearly right counts little, so that logits stay nearer to 0."""
    plain, focused = (np.abs(logits(network, GIVEN.test[0])).mean() for network in (PLAIN, GIVEN.fitted(focal_gamma=2)))
    assert focused < 0.7 * plain


def test_least_squares_is_not_focused() -> None:
    """The focal loss is one of cross-entropy, and is refused for a linear regression."""
    with pytest.raises(SettingsError, match="focal_gamma focuses cross-entropy"):
        parsed(("preset=linear", "focal_gamma=2"))
