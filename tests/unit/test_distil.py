"""A student in the place of an ensemble: nearer to it than the same network alone, and a fraction of its size."""

import numpy as np

from tests.learnable import Lesson, features, parts, precision
from trainer.distil import TEACHER, fitted, taught
from trainer.network import as_file
from trainer.settings import TrainingSettings

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


def test_what_a_student_is_taught() -> None:
    """Its targets lie between label and risk, so their mean is that of the labels; the rows are the same."""
    given = noisy(2)
    labels = given.train.labels
    rows, targets = (part := taught(given.fitted(), given.train, given.train)).rows, part.labels
    assert rows is given.train.rows
    assert abs(targets.mean() - labels.mean()) < 1e-3
    assert (targets[labels] >= 1 - TEACHER).all()
    assert (targets[~labels] <= TEACHER).all()
