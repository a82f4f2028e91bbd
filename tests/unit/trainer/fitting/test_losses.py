"""What a loss, penalties and patience do to a fit, in numbers."""

from typing import Any

import numpy as np
import pytest

from streamscore.errors import SettingsError
from tests.support.learnable import auc, errors, lesson, precision
from trainer.cli.options import parsed
from trainer.fitting.fit import Epoch, fit, fit_all, logits
from trainer.settings import TrainingSettings

GIVEN = lesson()
PLAIN = GIVEN.fitted()
# So few that a network learns them by heart.
FEW = lesson(600)


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
    labels = GIVEN.test.labels
    plain, heavy, even = (
        logits(GIVEN.fitted(preset="logistic", learning_rate=0.2, positive_weight=weight), GIVEN.test)
        for weight in (1, 5, "balanced")
    )
    assert np.exp((heavy - plain).mean()) == pytest.approx(5, rel=0.25)
    assert (1 / (1 + np.exp(-plain))).mean() == pytest.approx(labels.mean(), abs=0.02)
    assert (1 / (1 + np.exp(-even[labels]))).mean() > 0.6


def test_focusing_makes_logits_small() -> None:
    """With gamma 2 what is nearly right counts little, so that logits stay nearer to 0."""
    plain, focused = (np.abs(logits(network, GIVEN.test)).mean() for network in (PLAIN, GIVEN.fitted(focal_gamma=2)))
    assert focused < 0.7 * plain


def test_penalties_make_weights_small() -> None:
    """l1 leaves few columns of a logistic regression, l2 less than half of the length of its weights."""
    plain, few, short = (
        GIVEN.fitted(preset="logistic", learning_rate=0.2, **penalty).get_weights()[0][:, 0]
        for penalty in ({}, {"l1": 0.02}, {"l2": 0.1})
    )
    used = [int((np.abs(weights) > 0.05 * np.abs(weights).max()).sum()) for weights in (plain, few)]
    assert used[0] >= 5
    assert used[1] <= 2
    assert 0 < np.linalg.norm(short) < 0.5 * np.linalg.norm(plain)


def test_dropout_narrows_the_gap() -> None:
    """Fitted to the last epoch, a network that drops activations learns less of a few rows by heart."""
    gaps = []
    for dropout in (0, 0.5):
        settings = TrainingSettings(
            preset="dense", epochs=20, batch=32, learning_rate=0.02, dropout=dropout, weight_decay=0
        )
        network = fit_all(FEW.train, settings)
        gaps.append(auc(network, FEW.train) - auc(network, FEW.test))
    assert gaps[0] > 0.03
    assert gaps[1] < 0.6 * gaps[0]


def test_patience_saves_epochs() -> None:
    """Training ends after three epochs that are no better, the same until then, with the weights of the best one."""
    settings = TrainingSettings(preset="dense", epochs=30, batch=32, learning_rate=0.02)
    told: dict[int | None, list[Epoch]] = {None: [], 3: []}
    _, early = (
        fit(*FEW[:2], settings.model_copy(update={"patience": patience}), heard.append)
        for patience, heard in told.items()
    )
    whole, shorter = ([epoch.average_precision for epoch in heard] for heard in told.values())
    assert len(whole) == 30
    assert len(shorter) <= 12
    assert shorter == whole[: len(shorter)]
    assert np.argmax(shorter) == len(shorter) - 1 - 3
    assert precision(early, FEW.validation) == max(shorter)


def test_least_squares_is_not_focused() -> None:
    """The focal loss is one of cross-entropy, and is refused for a linear regression, also for one as a student."""
    for linear in ("preset=linear", "student=linear"):
        with pytest.raises(SettingsError, match="focal_gamma focuses cross-entropy"):
            parsed((linear, "focal_gamma=2"))
