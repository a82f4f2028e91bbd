"""Small tables from which something is to be learnt, and how well a network learnt it."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from streamscore.core.events.feature import Feature, FeatureSet, as_is
from trainer.data.part import Part, whole
from trainer.evaluation.evaluate import calibration_error
from trainer.fitting.fit import calibrate, fit, logits
from trainer.fitting.scaling import fit_scaler
from trainer.settings import TrainingSettings

NUMBERS = 4


class Lesson(NamedTuple):
    """Rows to learn from, to choose by and to judge on."""

    train: Part
    validation: Part
    test: Part

    def fitted(self, **settings: Any) -> Any:
        """The network of some settings; few epochs unless they say otherwise."""
        chosen = TrainingSettings(**{"preset": "dense", "epochs": 4, "batch": 128, **settings})
        return fit(self.train, self.validation, chosen, lambda _: None)


def features(count: int = NUMBERS) -> FeatureSet:
    """Numeric features x0, x1 and so on."""
    return FeatureSet(tuple(Feature(f"x{j}", (f"x{j}",), as_is, f"x{j}") for j in range(count)))


def lesson(rows: int = 3000, rate: float = 0.1, seed: int = 0) -> Lesson:
    """So many rows to learn from, a share of them positive, by x0 and by whether x1 and x2 have one sign."""
    random = np.random.default_rng(seed)
    matrix = random.normal(0, 1, (4 * rows, NUMBERS)).astype(np.float32)
    odds = matrix[:, 0] + 2 * np.sign(matrix[:, 1] * matrix[:, 2]) + random.logistic(0, 0.5, 4 * rows)
    return parts(features(), matrix, odds > np.quantile(odds, 1 - rate))


def close_together(at: float, spread: float) -> Lesson:
    """Half the rows have x0 so near to one value; of these alone the ones above it are positive."""
    random = np.random.default_rng(0)
    matrix = random.normal(0, 1, (8000, NUMBERS)).astype(np.float32)
    near = random.random(8000) < 0.5
    matrix[:, 0] = np.where(near, random.normal(at, spread, 8000), matrix[:, 0])
    return parts(features(), matrix, near & (matrix[:, 0] > at))


def parts(of: FeatureSet, matrix: np.ndarray, labels: np.ndarray) -> Lesson:
    """The first quarter to learn from, another to choose by, and the rest to judge on."""
    first, second = len(labels) // 4, len(labels) // 2
    rows = whole(matrix, labels, fit_scaler(of, matrix[:first]))
    return Lesson(*(rows.take(part) for part in (slice(None, first), slice(first, second), slice(second, None))))


def auc(network: Any, part: Part) -> float:
    """How well a network ranks a part."""
    return float(roc_auc_score(part.labels, logits(network, part)))


def precision(network: Any, part: Part) -> float:
    """The average precision of a network on a part."""
    return float(average_precision_score(part.labels, logits(network, part)))


def errors(network: Any, given: Lesson) -> tuple[float, float]:
    """The expected calibration error on the test part before calibration and after it."""
    raw = logits(network, given.test)
    found = calibrate(logits(network, given.validation), given.validation.labels)
    before, after = raw, found.slope * raw + found.intercept
    return _error(given.test.labels, before), _error(given.test.labels, after)


def _error(labels: np.ndarray, logit: np.ndarray) -> float:
    return calibration_error(labels, 1 / (1 + np.exp(-logit)))
