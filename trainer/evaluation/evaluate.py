"""How good is it: the same figures for the network and for the baselines, on the same rows.

Of rows of one kind only, or of none, what cannot be said is None, which stays readable JSON.
"""

from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from streamscore.core.scoring.bundle import Thresholds
from trainer.data.dataset import DAY
from trainer.data.part import Part

BINS = 15
# The share of negatives that may be alerted where recall is told.
FALSE_POSITIVES = 0.01
# Rows that a baseline learns from, at most, evenly spaced: their 80 scaled columns take a third of a GB.
COMPARED = 1 << 20

Figures = dict[str, float | None]


class Answered(NamedTuple):
    """Rows whose answers are known: bool (rows,), int64 (rows,) µs, and the share of a day's events that may alert."""

    labels: np.ndarray
    times: np.ndarray
    budget: float

    def take(self, rows: np.ndarray) -> "Answered":
        return Answered(self.labels[rows], self.times[rows], self.budget)


class ScoredTest(NamedTuple):
    """The test part, and the risks that the network and each baseline give it, float (rows,)."""

    answered: Answered
    risks: np.ndarray
    baselines: dict[str, np.ndarray]


def figures(answered: Answered, risks: np.ndarray) -> Figures:
    """What risks are worth: ranking, calibration, and what an alert budget finds with them."""
    labels = answered.labels
    some, both = bool(labels.any()), bool(labels.any() and not labels.all())
    found, false = _operating_points(labels, risks) if both else (np.zeros(1), np.zeros(1))
    return {
        "auc": float(roc_auc_score(labels, risks)) if both else None,
        "average_precision": float(average_precision_score(labels, risks)) if some else None,
        "precision_at_budget": precision_at_budget(answered, risks),
        "recall_at_1_percent": float(found[false <= FALSE_POSITIVES].max()) if both else None,
        "ks": float(np.abs(found - false).max()) if both else None,
        "brier": float(np.mean((risks - labels) ** 2)) if len(labels) else None,
        "ece": calibration_error(labels, risks) if len(labels) else None,
    }


def _operating_points(labels: np.ndarray, risks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shares of positives and of negatives at or above each risk, from none to all."""
    false, found, _ = roc_curve(labels, risks, drop_intermediate=False)
    return found, false


def precision_at_budget(answered: Answered, risks: np.ndarray) -> float | None:
    """The share of positives among the events that each day's alert budget takes, the riskiest of the day (UTC).

    A budget of less than a whole event counts in part, and events of one risk share what is left of it, so that
    neither the order of ties nor rounding on a quiet day changes it.
    """
    rows = len(risks)
    if not rows:
        return None
    order = np.lexsort((-risks, answered.times // DAY))
    day, risk = answered.times[order] // DAY, risks[order]
    begins = np.append(True, day[1:] != day[:-1])
    days, ties = np.flatnonzero(begins), np.flatnonzero(begins | np.append(True, risk[1:] != risk[:-1]))
    of_day = np.searchsorted(days, ties, side="right") - 1
    allowed = answered.budget * np.diff(np.append(days, rows))[of_day]
    taken = np.clip((allowed - (ties - days[of_day])) / np.diff(np.append(ties, rows)), 0.0, 1.0)
    positives = np.add.reduceat(answered.labels[order].astype(np.float64), ties)
    return float((taken * positives).sum() / (answered.budget * rows))


def calibration_error(labels: np.ndarray, risks: np.ndarray) -> float:
    """Expected calibration error over 15 bins of equal mass: mean |risk − rate of positives|."""
    gaps = [len(rows) * abs(risks[rows].mean() - labels[rows].mean()) for rows in _equal_masses(risks)]
    return float(sum(gaps) / len(risks))


def calibration_error_by_chance(risks: np.ndarray) -> float:
    """The expected calibration error that a perfect model has on so many rows with such risks.

    The mean absolute error of a bin of n rows with mean risk p is √(2/π) of its standard deviation √(p(1 − p)/n).
    """
    means = [(len(rows), risks[rows].mean()) for rows in _equal_masses(risks)]
    return float(sum(n * (2 * p * (1 - p) / (np.pi * n)) ** 0.5 for n, p in means) / len(risks))


def _equal_masses(risks: np.ndarray) -> list[np.ndarray]:
    """Row numbers in up to 15 bins of equal mass, by rising risk."""
    return [rows for rows in np.array_split(np.argsort(risks, kind="stable"), BINS) if len(rows)]


def doubt(metrics: dict[str, Any]) -> str | None:
    """What speaks against a model, in a sentence: the best baseline is better, or chance is nearly as good."""
    own = metrics["test"]["average_precision"]
    beside = {name: found["average_precision"] for name, found in metrics["baselines"].items()}
    best, chance = max(beside, key=beside.__getitem__), beside["base rate"]
    said = [f"below that of {best}, {beside[best]:.4f}"] if own < beside[best] else []
    said += [f"below twice the base rate, {chance:.4f}"] if own < 2 * chance else []
    return f"its average precision, {own:.4f}, is {' and '.join(said)}" if said else None


def baselines(train: Part, test: Part, seed: int) -> dict[str, np.ndarray]:
    """The risks of what needs no network."""
    few = train.subsample(COMPARED)
    columns = np.concatenate([np.asarray(chunk.scaled()) for chunk in few.chunks()])
    logistic = LogisticRegression(max_iter=300).fit(columns, few.labels)
    matrix = few.features()
    known = with_values(matrix)
    boosting = HistGradientBoostingClassifier(random_state=seed).fit(matrix[:, known], few.labels)
    found = [
        (logistic.predict_proba(chunk.scaled())[:, 1], boosting.predict_proba(chunk.features()[:, known])[:, 1])
        for chunk in test.chunks()
    ]
    return {
        "base rate": np.full(len(test.rows), train.labels.mean()),
        "logistic regression": np.concatenate([risks for risks, _ in found]),
        "gradient boosting, untuned": np.concatenate([risks for _, risks in found]),
    }


def with_values(matrix: np.ndarray) -> np.ndarray:
    """bool (features,): which have a value at all; scikit-learn's boosting cannot bin the others."""
    return ~np.isnan(matrix).all(axis=0)


def rates(risks: np.ndarray, chosen: Thresholds, labels: np.ndarray) -> dict[str, float]:
    """What the thresholds do to other events: shares alerted and declined, precision and recall of alerts."""
    alerted = risks >= chosen.review
    caught = float(labels[alerted].sum())
    return {
        "alerted": float(alerted.mean()),
        "declined": float((risks >= chosen.decline).mean()),
        "precision": caught / max(1.0, float(alerted.sum())),
        "recall": caught / max(1.0, float(labels.sum())),
    }
