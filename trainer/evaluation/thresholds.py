"""From which risks on events are reviewed and declined: by what is budgeted, by what mistakes cost, or by false alarms.

Chosen on the validation part, which the weights have not seen; the test part judges what came of it.
"""

from typing import NamedTuple

import numpy as np

from streamscore.core.scoring.bundle import Manifest, Thresholds
from streamscore.errors import DataError
from trainer.settings import ThresholdSettings


class Budget(NamedTuple):
    """The shares of events that may be reviewed or declined, and declined."""

    review: float
    decline: float


class Costs(NamedTuple):
    """Of a positive that is approved, of a review, which finds out, and of a negative that is declined."""

    missed: float
    review: float
    declined: float


class Chosen(NamedTuple):
    """The thresholds, how they were chosen in a sentence, and what they do on the rows that they were chosen on."""

    thresholds: Thresholds
    said: str
    figures: dict[str, float]


def chosen(risks: np.ndarray, labels: np.ndarray, wanted: ThresholdSettings, budget: Budget) -> Chosen:
    """Thresholds of calibrated risks, float (rows,), whose answers are known, bool (rows,).

    DataError where the rows do not allow what is wanted.
    """
    # As a worker has them: what rounds to 1 there is 1 here.
    risks = risks.astype(np.float32).astype(np.float64)
    if wanted.by == "cost":
        found, said, figures = _by_cost(risks, labels, _costs(wanted))
    elif wanted.by == "false_positives":
        shares = Budget(wanted.false_positives or 0.0, wanted.false_declines or 0.0)
        found, said, figures = _by_false_positives(risks, labels, shares)
    else:
        found, figures = _by_budget(risks, budget), {}
        said = f"{budget.review:.2%} of events may be alerted, {min(budget):.2%} declined"
    does = {"alerted": float(np.mean(risks >= found.review)), "declined": float(np.mean(risks >= found.decline))}
    return Chosen(found, said, does | figures)


def expected_alerts(model: Manifest, budget: float) -> float:
    """The share of events that should raise an alert: what is budgeted, else what did where thresholds were chosen."""
    found = model.metrics.get("thresholds", {"by": "budget"})
    return budget if found["by"] == "budget" else float(found["alerted"])


def paid(risks: np.ndarray, labels: np.ndarray, at: Thresholds, wanted: ThresholdSettings) -> dict[str, float]:
    """What an event of other rows costs on the mean, where thresholds were chosen by cost."""
    return {"cost": cost(risks, labels, at, _costs(wanted))} if wanted.by == "cost" else {}


def decided(model: Manifest) -> str:
    """What the thresholds are, how they were chosen, and what they do to the test part, in sentences."""
    at, does, choice = model.thresholds, model.metrics["at_thresholds"], model.metrics["thresholds"]["said"]
    paying = f" An event of it costs {does['cost']:.5g}." if "cost" in does else ""
    return (
        f"Reviewed from a risk of {at.review:.5f}, declined from {at.decline:.5f}: {choice}. "
        f"On the test part that alerts on {does['alerted']:.2%} of events and declines {does['declined']:.2%}; "
        f"of the alerts {does['precision']:.1%} are right, and they hold {does['recall']:.1%} of all positives.{paying}"
    )


def cost(risks: np.ndarray, labels: np.ndarray, at: Thresholds, costs: Costs) -> float:
    """What an event costs on the mean."""
    alerted, declined = risks >= at.review, risks >= at.decline
    missed, wrongly = (labels & ~alerted).sum(), (~labels & declined).sum()
    reviewed = (alerted & ~declined).sum()
    return float(costs.missed * missed + costs.review * reviewed + costs.declined * wrongly) / len(risks)


def ratio(costs: Costs) -> Thresholds:
    """The thresholds of the least cost where risks are exactly right: ratios of costs (Elkan 2001).

    At a risk p a review costs less than approving from p · missed on, and less than declining up to (1 - p) · declined.
    """
    return Thresholds(review=costs.review / costs.missed, decline=1 - costs.review / costs.declined)


def _costs(wanted: ThresholdSettings) -> Costs:
    return Costs(wanted.cost_missed or 0.0, wanted.cost_review or 0.0, wanted.cost_declined or 0.0)


def _by_budget(risks: np.ndarray, budget: Budget) -> Thresholds:
    """The risks that the budgeted shares of events exceed."""
    review, decline = np.quantile(risks, [1 - budget.review, 1 - min(budget)])
    return Thresholds(review=float(review), decline=float(decline))


def _by_cost(risks: np.ndarray, labels: np.ndarray, costs: Costs) -> tuple[Thresholds, str, dict[str, float]]:
    """The two thresholds that cost least on these rows, of all there are.

    Not the ratios: risks are calibrated by two numbers over all rows, and may be wrong just where a threshold lies.
    """
    if not labels.any():
        raise DataError("none of the validation events is positive: no threshold can be chosen by cost")
    distinct, place = np.unique(risks, return_inverse=True)
    rows = np.bincount(place)
    positives = np.bincount(place, labels.astype(np.float64))
    below = np.append(0.0, np.cumsum(positives))
    above, negatives = (np.append(np.cumsum(n[::-1])[::-1], 0.0) for n in (rows, rows - positives))
    reviewing, declining = (
        costs.missed * below + costs.review * above,
        costs.declined * negatives - costs.review * above,
    )
    # What the two add up to is paid, each by its own place. They never cross: between them a review would be dearer
    # than approving and than declining, which the settings rule out.
    # No threshold lies above a risk of 1: who has it is declined.
    lower, upper = int(np.argmin(reviewing)), int(np.argmin(declining[: len(distinct) + (distinct[-1] < 1)]))
    if lower in (0, len(distinct)):
        raise DataError(
            f"by these costs it is cheapest to alert on {'no' if lower else 'every'} event: no model is needed"
        )
    found = Thresholds(review=_between(distinct, lower), decline=_between(distinct, upper))
    figures = {"cost": cost(risks, labels, found, costs), "cost_by_ratio": cost(risks, labels, ratio(costs), costs)}
    said = (
        f"they cost least on the validation part, {figures['cost']:.5g} an event, where a missed positive costs "
        f"{costs.missed:g}, a review {costs.review:g} and a wrong decline {costs.declined:g}; at the ratios of the "
        f"costs it would be {figures['cost_by_ratio']:.5g}"
    )
    return found, said, figures


def _by_false_positives(
    risks: np.ndarray, labels: np.ndarray, shares: Budget
) -> tuple[Thresholds, str, dict[str, float]]:
    """The lowest thresholds above which no more of the negatives lie than these shares."""
    review, decline = (_above_all_but(risks, labels, share) for share in shares)
    found = Thresholds(review=review, decline=decline)
    figures = {"false_positives": float(np.mean(risks[~labels] >= review))}
    said = f"{shares.review:.3%} of the negatives may be alerted, {shares.decline:.3%} declined"
    return found, said, figures


def _above_all_but(risks: np.ndarray, labels: np.ndarray, share: float) -> float:
    negatives = np.sort(risks[~labels])
    allowed = int(share * len(negatives))
    if not allowed:
        raise DataError(f"{share:.3%} of the {len(negatives):,} negatives of the validation part is less than one")
    # The riskiest negative that may not be alerted: just above it begins what may.
    if negatives[-allowed - 1] == 1:
        raise DataError(f"more than {share:.3%} of the negatives of the validation part have a risk of 1")
    distinct = np.unique(risks)
    return _between(distinct, int(np.searchsorted(distinct, negatives[-allowed - 1], side="right")))


def _between(distinct: np.ndarray, place: int) -> float:
    """A threshold halfway below the risk at a place, so that rounding puts no risk on its other side."""
    return float((distinct[place - 1] + (distinct[place] if place < len(distinct) else 1.0)) / 2)
