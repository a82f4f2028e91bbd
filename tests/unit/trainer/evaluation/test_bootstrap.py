"""The interval of a difference: exact average precision, dependence between rows, and coverage."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from trainer.evaluation.bootstrap import Pair, average_precision, difference, ranking, roc_auc


def test_figures_are_scikit_learns() -> None:
    """With ties and weights; weights of 2 are rows twice over."""
    random = np.random.default_rng(0)
    for rows in (2, 7, 300):
        labels, scores = random.random(rows) < 0.3, random.integers(0, 9, rows) / 9
        labels[0] = True
        weights = random.integers(0, 3, rows).astype(float)
        weights[0] = 1
        twice = np.repeat(np.arange(rows), weights.astype(int))
        ours = average_precision(ranking(labels, scores), weights)
        assert ours == pytest.approx(average_precision_score(labels, scores, sample_weight=weights), abs=1e-12)
        assert ours == pytest.approx(average_precision_score(labels[twice], scores[twice]), abs=1e-12)
        if not labels[weights > 0].all():
            area = roc_auc(ranking(labels, scores), weights)
            assert area == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12)


def test_no_positive_row_has_no_average_precision() -> None:
    """It is NaN, which a draw without positives leaves out of the interval."""
    assert np.isnan(average_precision(ranking(np.zeros(3, bool), np.arange(3.0)), np.ones(3)))


def world(seed: int, rows: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, a good and a slightly noisier score, and the customer of each row."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=rows)
    labels = random.random(rows) < 1 / (1 + np.exp(3 - 2 * signal))
    return (
        labels,
        signal + random.normal(0, 0.3, rows),
        signal + random.normal(0, 0.6, rows),
        random.integers(0, 400, rows),
    )


def test_a_better_model_is_told_from_an_equal_one() -> None:
    """The better score's interval lies above 0, a score against itself is exactly 0, the reverse is mirrored."""
    labels, good, noisy, blocks = world(1)
    better, same, worse = (
        difference([Pair(labels, *pair, blocks)]) for pair in ((good, noisy), (good, good), (noisy, good))
    )
    assert 0 < better.low < better.estimate < better.high
    assert same == (0, 0, 0)
    assert worse == pytest.approx((-better.estimate, -better.high, -better.low))


def test_the_interval_covers_the_truth() -> None:
    """Of forty worlds drawn alike, about 95 % of the intervals hold the difference of a far larger world."""
    labels, good, noisy, _ = world(99, 400_000)
    truth = average_precision_score(labels, good) - average_precision_score(labels, noisy)
    held = 0
    for seed in range(40):
        found = difference([Pair(*world(seed))])
        held += found.low <= truth <= found.high
    assert held >= 34  # fewer has a probability of one in a thousand at 95 %


def test_folds_are_averaged() -> None:
    """Of several pairs the mean is told, and it is surer than that of one."""
    pairs = [Pair(*world(seed)) for seed in range(4)]
    each, mean = [difference([pair]) for pair in pairs], difference(pairs)
    assert mean.estimate == pytest.approx(np.mean([found.estimate for found in each]))
    assert mean.high - mean.low < 0.7 * min(found.high - found.low for found in each)
    assert difference(pairs, roc_auc).low > 0


def test_rows_that_repeat_each_other_make_it_no_surer() -> None:
    """Each row ten times, under the same customer: the interval is as wide as before; as other customers, narrower."""
    labels, good, noisy, blocks = world(2)
    again = Pair(np.tile(labels, 10), np.tile(good, 10), np.tile(noisy, 10), np.tile(blocks, 10))
    plain = difference([Pair(labels, good, noisy, blocks)])
    same = difference([again])
    others = difference([again._replace(blocks=np.arange(len(labels) * 10))])
    assert same.high - same.low == pytest.approx(plain.high - plain.low, rel=0.01)
    assert others.high - others.low < 0.5 * (plain.high - plain.low)
