"""How good is it: the same figures for the network and for the baselines, on the same rows."""

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from streamscore.core.bundle import Thresholds

BINS = 15

Figures = dict[str, float]


def figures(labels: np.ndarray, risks: np.ndarray) -> Figures:
    """AUC, average precision, Brier score and expected calibration error of risks, bool labels."""
    return {
        "auc": float(roc_auc_score(labels, risks)),
        "average_precision": float(average_precision_score(labels, risks)),
        "brier": float(brier_score_loss(labels, risks)),
        "ece": calibration_error(labels, risks),
    }


def doubt(metrics: dict[str, Any]) -> str | None:
    """What speaks against a model, in a sentence: the best baseline is better, or chance is nearly as good."""
    own = metrics["test"]["average_precision"]
    beside = {name: found["average_precision"] for name, found in metrics["baselines"].items()}
    best, chance = max(beside, key=beside.__getitem__), beside["base rate"]
    said = [f"below that of {best}, {beside[best]:.4f}"] if own < beside[best] else []
    said += [f"below twice the base rate, {chance:.4f}"] if own < 2 * chance else []
    return f"its average precision, {own:.4f}, is {' and '.join(said)}" if said else None


def calibration_error(labels: np.ndarray, risks: np.ndarray) -> float:
    """Expected calibration error over 15 bins of equal mass: mean |risk − rate of positives|."""
    bins = np.array_split(np.argsort(risks, kind="stable"), BINS)
    gaps = [len(rows) * abs(risks[rows].mean() - labels[rows].mean()) for rows in bins if len(rows)]
    return float(sum(gaps) / len(risks))


def baselines(train: tuple[Any, ...], test: tuple[Any, ...], seed: int) -> dict[str, Figures]:
    """The figures of what needs no network; `train` and `test` are (matrix, scaled, labels)."""
    matrix, scaled, labels = train
    test_matrix, test_scaled, test_labels = test
    logistic = LogisticRegression(max_iter=300).fit(scaled, labels)
    boosting = HistGradientBoostingClassifier(random_state=seed).fit(matrix, labels)
    return {
        "base rate": figures(test_labels, np.full(len(test_labels), labels.mean())),
        "logistic regression": figures(test_labels, logistic.predict_proba(test_scaled)[:, 1]),
        "gradient boosting, untuned": figures(test_labels, boosting.predict_proba(test_matrix)[:, 1]),
    }


def thresholds(risks: np.ndarray, review_rate: float, decline_rate: float) -> Thresholds:
    """The risks that the budgeted shares of validation events exceed."""
    review, decline = np.quantile(risks.astype(np.float64), [1 - review_rate, 1 - min(decline_rate, review_rate)])
    return Thresholds(review=float(review), decline=float(decline))


def rates(risks: np.ndarray, chosen: Thresholds, labels: np.ndarray) -> Figures:
    """What the thresholds do to other events: shares alerted and declined, precision and recall of alerts."""
    alerted = risks >= chosen.review
    caught = float(labels[alerted].sum())
    return {
        "alerted": float(alerted.mean()),
        "declined": float((risks >= chosen.decline).mean()),
        "precision": caught / max(1.0, float(alerted.sum())),
        "recall": caught / max(1.0, float(labels.sum())),
    }
