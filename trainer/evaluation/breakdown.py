"""Figures by month and by group, fairness between groups, and the shift of distributions."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from streamscore.core.scoring.bundle import Thresholds
from streamscore.core.scoring.profile import Profile, edges, histogram, psi, psi_threshold
from trainer.data.segments import Group
from trainer.evaluation.evaluate import Answered, figures, rates

# Groups with fewer expected alerts are shown but not compared: one alert more or less would change the ratio.
EXPECTED = 10

Figures = dict[str, Any]


def months(answered: Answered, risks: np.ndarray) -> list[Figures]:
    """The figures of each calendar month (UTC) in which there are events."""
    month = answered.times.astype("datetime64[us]").astype("datetime64[M]")
    return [{"month": str(each), **_apart(answered, risks, month == each)} for each in np.unique(month)]


def segments(answered: Answered, risks: np.ndarray, groups: Iterable[Group]) -> list[Figures]:
    """The figures of each group of rows."""
    return [{"field": g.field, "value": g.value, **_apart(answered, risks, g.rows)} for g in groups]


def _apart(answered: Answered, risks: np.ndarray, rows: np.ndarray) -> Figures:
    inside = answered.take(rows)
    counts = {"events": len(inside.labels), "positives": int(inside.labels.sum())}
    return counts | figures(inside, risks[rows])


def fairness(labels: np.ndarray, risks: np.ndarray, chosen: Thresholds, groups: Sequence[Group]) -> dict[str, Figures]:
    """For each field, the alert rate, precision and recall of its groups.

    `ratio` is the lowest alert rate divided by the highest, over groups large enough: 1 when all are treated alike.
    Undefined figures are None: precision without an alert, recall without a positive, a ratio of fewer than two groups.
    """
    fields = dict.fromkeys(group.field for group in groups)
    alike = {name: [_treated(labels, risks, chosen, g) for g in groups if g.field == name] for name in fields}
    least = EXPECTED / max(1e-9, float(np.mean(risks >= chosen.review)))
    return {
        name: {"ratio": _ratio([group["alerted"] for group in treated if group["events"] >= least]), "groups": treated}
        for name, treated in alike.items()
    }


def _treated(labels: np.ndarray, risks: np.ndarray, chosen: Thresholds, group: Group) -> Figures:
    inside = rates(risks[group.rows], chosen, labels[group.rows])
    events, positives = int(group.rows.sum()), int(labels[group.rows].sum())
    return {
        "value": group.value,
        "events": events,
        "positives": positives,
        "alerted": inside["alerted"],
        "precision": inside["precision"] if inside["alerted"] else None,
        "recall": inside["recall"] if positives else None,
    }


def _ratio(alerted: list[float]) -> float | None:
    return min(alerted) / max(alerted) if len(alerted) > 1 and max(alerted) else None


def moved(before: Profile, now: Profile) -> dict[str, float]:
    """The population stability index, and its threshold: above it the shift is more than chance and matters."""
    return {"psi": psi(before, now), "threshold": psi_threshold(before, now)}


def stable(before: np.ndarray, now: np.ndarray) -> dict[str, float]:
    """The shift of risks, in bins of the earlier ones."""
    profile = histogram(before, edges(before))
    return moved(profile, histogram(now, profile.edges))
