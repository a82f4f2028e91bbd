"""A student in the place of an ensemble: nearer to it than the same network alone, and a fraction of its size.

And trees that teach a network what it would not have found by itself.
"""

import sys

import numpy as np
import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import SettingsError
from tests.support.learnable import Lesson, features, parts, precision
from trainer.cli.options import parsed
from trainer.fitting.distil import TEACHER, fitted, taught, taught_by_trees
from trainer.fitting.presets import as_file
from trainer.run import check
from trainer.settings import TeacherSettings, TrainingSettings

SETTINGS = TrainingSettings(preset="default", members=3, epochs=10, batch=32)


def noisy(seed: int) -> Lesson:
    """So few rows and so uncertain answers that several networks are better than one."""
    random = np.random.default_rng(seed)
    matrix = random.normal(0, 1, (4000, 4)).astype(np.float32)
    odds = 1.5 * matrix[:, 0] + matrix[:, 1] * matrix[:, 2] + random.logistic(0, 1, 4000)
    return parts(features(), matrix, odds > np.quantile(odds, 0.8))


def test_a_student_is_nearly_as_good_and_small() -> None:
    """A small student of three large networks is within 0.04 of their average precision, and above itself untaught."""
    given = noisy(1)

    def found(**settings: object) -> tuple[float, int]:
        chosen = SETTINGS.model_copy(update=settings)
        network = fitted(given.train, given.validation, chosen, lambda _: None)
        return precision(network, given.test), len(as_file(network))

    teacher, alone, student = found(), found(preset="dense", members=1), found(student="dense")
    assert student[0] > teacher[0] - 0.04
    assert student[0] > alone[0] + 0.005
    assert student[1] < teacher[1] / 7
    assert abs(student[1] - alone[1]) < 100  # names of layers are counted on


def test_what_a_student_learns_from() -> None:
    """Its targets lie between label and risk, so their mean is that of the labels; the rows are the same."""
    given = noisy(2)
    labels = given.train.labels
    rows, targets = (part := taught(given.fitted(), given.train, given.train)).rows, part.labels
    assert rows is given.train.rows
    assert abs(targets.mean() - labels.mean()) < 1e-3
    assert (targets[labels] >= 1 - TEACHER).all()
    assert (targets[~labels] <= TEACHER).all()


def narrow(seed: int) -> Lesson:
    """What is positive lies in two narrow bands, one of them on one side only: questions that trees ask."""
    random = np.random.default_rng(seed)
    matrix = random.normal(0, 1, (16_000, 4)).astype(np.float32)
    inside = np.abs(matrix[:, 0] - 0.7) < 0.15
    beside = (np.abs(matrix[:, 1] + 0.5) < 0.1) & (matrix[:, 2] > 0)
    return parts(features(), matrix, random.random(16_000) < np.where(inside | beside, 0.6, 0.03))


def test_a_network_distilled_from_trees_ranks_better() -> None:
    """Where trees see more, 0.25 of average precision become 0.28; the model is a network like any other."""
    given = narrow(0)

    def found(**settings: object) -> tuple[float, int]:
        chosen = TrainingSettings(preset="dense", epochs=20, batch=64).model_copy(update=settings)
        network = fitted(given.train, given.validation, chosen, lambda _: None)
        return precision(network, given.test), len(as_file(network))

    alone, better = found(), found(teacher=TeacherSettings(trees=60))
    assert better[0] > alone[0] + 0.015
    assert abs(better[1] - alone[1]) < 100  # names of layers are counted on


def test_what_trees_teach() -> None:
    """The same settings teach the same; more trees, or others, teach otherwise; a seed draws other forests."""
    given = narrow(1)

    def targets(seed: int = 0, **trees: float) -> np.ndarray:
        settings = TrainingSettings(seed=seed, teacher=TeacherSettings.model_validate({"trees": 3, **trees}))
        return taught_by_trees(given.train, settings).labels

    first = targets()
    assert (first[given.train.labels] >= 1 - TEACHER).all()
    assert (first[~given.train.labels] <= TEACHER).all()
    np.testing.assert_array_equal(first, targets())
    others = [targets(seed=9), targets(trees=4), targets(max_depth=1), targets(learning_rate=0.3), targets(gamma=9)]
    assert all((first != other).any() for other in others)
    assert taught_by_trees(given.train, TrainingSettings()) is given.train


def test_trees_learn_from_what_is_missing_or_infinite() -> None:
    """A feature may be either, and the network takes it; so do trees, which find what it says."""
    given = narrow(2)
    given.train.matrix[::7, 3], given.train.matrix[::11, 3], given.train.matrix[::13, 3] = np.nan, np.inf, -np.inf
    labels = np.isinf(given.train.matrix[:, 3])
    learnt = given.train._replace(labels=labels[given.train.rows])
    targets = taught_by_trees(learnt, TrainingSettings(teacher=TeacherSettings(trees=30))).labels
    assert targets[learnt.labels].min() > 0.6
    assert targets[~learnt.labels].max() < 0.2


def test_a_teacher_that_is_not_installed_is_told_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how to get it."""
    monkeypatch.setitem(sys.modules, "xgboost", None)
    check(TRANSACTION, TrainingSettings())
    with pytest.raises(SettingsError, match=r"xgboost is not installed: pip install 'streamscore\[backtest\]'"):
        check(TRANSACTION, TrainingSettings(teacher=TeacherSettings(trees=10)))
    for asked in ({"preset": "piecewise"}, {"student": "piecewise"}):
        with pytest.raises(SettingsError, match="xgboost is not installed"):
            check(TRANSACTION, TrainingSettings.model_validate(asked))


def test_parameters_without_trees_are_refused() -> None:
    """Nobody believes in a teacher that there is not."""
    with pytest.raises(
        SettingsError,
        match=r"--set teacher: max_depth is a setting of the teacher's trees, and teacher\.trees is unset",
    ):
        parsed(("teacher.max_depth=4",))
    with pytest.raises(SettingsError, match=r"--set teacher: teacher has settings of its own: teacher\.trees, teacher"):
        parsed(("teacher=xgboost",))
    assert parsed(("teacher.max_depth=4", "teacher.trees=9")).teacher.max_depth == 4


@pytest.mark.parametrize("asked", ["gamma=1e300", "reg_alpha=1e39", "min_child_weight=inf", "subsample=1e-300"])
def test_parameters_that_xgboost_cannot_hold_are_refused(asked: str) -> None:
    """Before anything is read, and not when trees are grown."""
    with pytest.raises(SettingsError, match=rf"teacher\.{asked.partition('=')[0]}"):
        parsed(("teacher.trees=5", f"teacher.{asked}"))
