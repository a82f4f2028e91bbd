"""The plots of a report: each a picture, and in words what it shows."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from sklearn.metrics import precision_recall_curve, roc_curve

from streamscore.core.scoring.bundle import Manifest
from trainer.evaluation.evaluate import FALSE_POSITIVES, ScoredTest
from trainer.report.plot_style import GRID, INK, OTHER, OURS, bars, blank, legend, plain, plain_axes, png

# More rows than this are drawn by a sample of so many.
DRAWN = 200_000
# Bars in one plot.
BARS = 15
BESIDE = ((OTHER, "--"), ("#2a8f64", "-."), ("#8250df", ":"))
RISK_BINS, CALIBRATION_BINS = 40, 12
# Risks that are named on an axis of log-odds.
TICKS = (1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999)
# Risks are shown between these log-odds.
WIDEST = 12.0
# Log-odds that a plot of calibration shows beyond its risks.
BEYOND = 2.0
# Of the normal distribution, for intervals of 95 %.
Z = 1.96


class Plot(NamedTuple):
    """A picture with its heading, and in words what it shows, for whoever cannot see it."""

    name: str
    title: str
    shows: str
    png: bytes


def drawn(manifest: Manifest, scored: ScoredTest) -> list[Plot]:
    """Every plot of a report; the manifest has the exact figures that the words tell."""
    few = sampled(scored)
    return [
        _roc(manifest, few),
        _precision_recall(manifest, few),
        _calibration(manifest, few),
        _scores(manifest, few),
        _importance(manifest),
        _drift(manifest),
    ]


def sampled(scored: ScoredTest) -> ScoredTest:
    """At most 200,000 rows, the same ones each time."""
    rows = len(scored.risks)
    if rows <= DRAWN:
        return scored
    some = np.sort(np.random.default_rng(0).choice(rows, DRAWN, replace=False))
    beside = {name: risks[some] for name, risks in scored.baselines.items()}
    return ScoredTest(scored.answered.take(some), scored.risks[some], beside)


def _roc(manifest: Manifest, scored: ScoredTest) -> Plot:
    figure, axes = plain_axes("share of negatives alerted", "share of positives found")
    _curves(axes, scored, lambda labels, risks: roc_curve(labels, risks)[:2])
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":", label="chance")
    axes.axvline(FALSE_POSITIVES, color=INK, linewidth=0.6)
    legend(axes, "lower right")
    test, beside = manifest.metrics["test"], _told(manifest, "auc")
    shows = (
        f"ROC curve. The model's area is {test['auc']:.4f}; {beside}. With {FALSE_POSITIVES:.0%} of the negatives "
        f"alerted, the thin upright line, it finds {test['recall_at_1_percent']:.1%} of the positives."
    )
    return Plot("roc", "ROC", shows, png(figure))


def _precision_recall(manifest: Manifest, scored: ScoredTest) -> Plot:
    figure, axes = plain_axes("share of positives found", "share of alerts that are right")
    _curves(axes, scored, lambda labels, risks: precision_recall_curve(labels, risks)[1::-1])
    legend(axes, "upper right")
    test, beside = manifest.metrics["test"], _told(manifest, "average_precision")
    shows = (
        f"Precision against recall. The model's average precision is {test['average_precision']:.4f}; {beside}. "
        f"Of each day's riskiest {scored.answered.budget:.2%}, its alert budget, {test['precision_at_budget']:.1%} are "
        f"positives; of all that the thresholds alert on, more on some days than on others, "
        f"{manifest.metrics['at_thresholds']['precision']:.1%}."
    )
    return Plot("precision-recall", "Precision and recall", shows, png(figure))


def _curves(axes: Axes, scored: ScoredTest, curve: Callable[[np.ndarray, np.ndarray], tuple[Any, Any]]) -> None:
    beside = {name: risks for name, risks in scored.baselines.items() if name != "base rate"}
    for (name, risks), (colour, dashes) in zip(beside.items(), BESIDE, strict=False):
        axes.plot(*curve(scored.answered.labels, risks), color=colour, linestyle=dashes, linewidth=1.2, label=name)
    axes.plot(*curve(scored.answered.labels, scored.risks), color=OURS, linewidth=2, label="this model")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))


def _told(manifest: Manifest, figure: str) -> str:
    return ", ".join(f"{name} {found[figure]:.4f}" for name, found in manifest.metrics["baselines"].items())


def _calibration(manifest: Manifest, scored: ScoredTest) -> Plot:
    """Bins of equal width in log-odds, since most risks are small; below, how many events each holds."""
    odds, labels = log_odds(scored.risks), scored.answered.labels
    at = np.linspace(odds.min(), odds.max() + 1e-9, CALIBRATION_BINS + 1)
    place = np.searchsorted(at, odds, side="right") - 1
    bins = [(scored.risks[rows].mean(), labels[rows].mean(), rows.sum()) for rows in _each(place)]
    risk, rate, count = (np.array(column, np.float64) for column in zip(*bins, strict=True))
    low, high = wilson(rate, count)
    figure = blank()
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    plain(above, "", "share of positives")
    plain(below, "risk", "events")
    x, inner = log_odds(risk), (rate > 0) & (rate < 1)  # what lies at infinity is told by its interval alone
    bottom, top = float(x.min()) - BEYOND, float(x.max()) + BEYOND
    ends = (np.clip(log_odds(end), bottom, top) for end in (low, high))
    above.vlines(x, *ends, color=OURS, linewidth=1.5, alpha=0.6)
    above.plot(x[inner], log_odds(rate[inner]), "o", color=OURS, markersize=5, label="events of about one risk")
    above.plot(x, x, color=INK, linewidth=0.8, linestyle=":", label="risks that mean what they say")
    _name_risks(above.yaxis, bottom, top)
    above.set_ylim(bottom, top)
    legend(above, "upper left")
    below.bar(x, count, width=0.6 * (at[1] - at[0]), color=GRID, edgecolor=INK, linewidth=0.6)
    below.set_yscale("log")
    _name_risks(below.xaxis, at[0], at[-1])
    inside = int(((low <= risk) & (risk <= high)).sum())
    shows = (
        f"Calibration. Of {len(bins)} groups of events of about one risk, {inside} have a share of positives whose "
        f"95 % interval holds that risk; the expected calibration error is {manifest.metrics['test']['ece']:.5f}. The "
        f"bars count the events of each group, from {int(count.min()):,} to {int(count.max()):,}."
    )
    return Plot("calibration", "Calibration", shows, png(figure))


def _name_risks(axis: Axis, low: float, high: float) -> None:
    """Write risks on an axis of log-odds between these."""
    named = [tick for tick in TICKS if low <= log_odds(np.array([tick]))[0] <= high]
    axis.set_ticks(log_odds(np.array(named)).tolist(), labels=[f"{tick:g}" for tick in named])


def _each(place: np.ndarray) -> list[np.ndarray]:
    return [place == number for number in np.unique(place)]


def wilson(rate: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of shares found in so many rows (Wilson 1927)."""
    middle = (rate + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * np.sqrt(rate * (1 - rate) / count + Z**2 / (4 * count**2))
    return middle - half, middle + half


def log_odds(risks: np.ndarray) -> np.ndarray:
    """log(p / (1 − p)), at most 12 either way."""
    inside = np.clip(risks.astype(np.float64), 1e-12, 1 - 1e-12)
    return np.clip(np.log(inside / (1 - inside)), -WIDEST, WIDEST)


def _scores(manifest: Manifest, scored: ScoredTest) -> Plot:
    figure, axes = plain_axes("risk", "share of events")
    odds, labels = log_odds(scored.risks), scored.answered.labels
    bins = np.linspace(odds.min(), odds.max() + 1e-9, RISK_BINS + 1).tolist()
    for kind, colour, name in ((~labels, OURS, "negatives"), (labels, OTHER, "positives")):
        weights = np.full(int(kind.sum()), 1 / max(1, kind.sum()))
        axes.hist(odds[kind], bins, weights=weights, color=colour, alpha=0.35, label=name)
        axes.hist(odds[kind], bins, weights=weights, color=colour, histtype="step", linewidth=1.4)
    chosen = manifest.thresholds
    for threshold, dashes, name in ((chosen.review, "--", "review"), (chosen.decline, "-", "decline")):
        axes.axvline(float(log_odds(np.array([threshold]))[0]), color=INK, linewidth=1, linestyle=dashes, label=name)
    _name_risks(axes.xaxis, bins[0], bins[-1])
    axes.set_xlim(bins[0], bins[-1])
    legend(axes, "upper right")
    middles = [float(np.median(scored.risks[kind])) for kind in (labels, ~labels)]
    shows = (
        f"Risks by answer. The median risk of positives is {middles[0]:.4g}, of negatives {middles[1]:.4g}; events are "
        f"reviewed from {chosen.review:.4g} and declined from {chosen.decline:.4g}."
    )
    return Plot("scores", "Risks by answer", shows, png(figure))


def _importance(manifest: Manifest) -> Plot:
    found = manifest.metrics["importance"]
    names = list(found)[:BARS]
    figure, axes = plain_axes("mean share in the log-odds of a risk, either way", "")
    bars(axes, names, [found[name] for name in names], [OURS] * len(names))
    most = ", ".join(f"{name} {found[name]:.3f}" for name in names[:3])
    shows = f"What moves risks: the mean absolute contribution of each feature. The largest are {most}."
    return Plot("importance", "What moves risks", shows, png(figure))


def _drift(manifest: Manifest) -> Plot:
    found: Mapping[str, dict[str, float]] = manifest.metrics["drift"]
    names = sorted(found, key=lambda name: -found[name]["psi"] / found[name]["threshold"])[:BARS]
    moved = [name for name in found if found[name]["psi"] > found[name]["threshold"]]
    figure, axes = plain_axes("PSI of the test part against training; marks are thresholds", "")
    bars(axes, names, [found[name]["psi"] for name in names], [OTHER if n in moved else OURS for n in names])
    limits = [found[name]["threshold"] for name in names]
    axes.scatter(limits, np.arange(len(names)), marker="|", s=140, color=INK)
    first = found[names[0]]
    shows = (
        f"Drift of features. {len(moved)} of {len(found)} lie otherwise in the test part than in training, above "
        f"their threshold; first {names[0]}, PSI {first['psi']:.3f} with a threshold of {first['threshold']:.3f}."
    )
    return Plot("drift", "Drift of features", shows, png(figure))
