"""Thresholds by budget, by cost and by false positives: each does on its rows what was wanted, told as a number."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamscore.core.events.application import APPLICATION
from streamscore.core.scoring.bundle import Thresholds
from streamscore.errors import DataError, SettingsError
from streamscore.models.store import ModelStore
from tests.support.trained import QUICK, SILENT, TRAINED_AT, simulated, trained_manifest, write_archive
from trainer.cli.options import parsed
from trainer.evaluation.thresholds import Budget, Chosen, Costs, chosen, cost, decided, paid, ratio
from trainer.report.card import card
from trainer.run import Job, Source, train_once
from trainer.settings import ThresholdSettings

BUDGET = Budget(0.02, 0.005)
SHARES = {"false_positives": 0.2, "false_declines": 0.01}
COSTS = {"cost_missed": 100.0, "cost_review": 4.0, "cost_declined": 20.0}


def rows(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Risks, and answers of which each is as likely as its risk says."""
    draw = np.random.default_rng(seed)
    risks = draw.beta(0.4, 6, count)
    return risks, draw.random(count) < risks


def by(risks: np.ndarray, labels: np.ndarray, **wanted: Any) -> Chosen:
    return chosen(risks, labels, ThresholdSettings(**wanted), BUDGET)


def test_the_budget_is_kept() -> None:
    """The shares of the rows that are alerted and declined are those that were budgeted, within a row."""
    found = by(*rows(20_000))
    assert found.figures["alerted"] == pytest.approx(0.02, abs=1 / 20_000)
    assert found.figures["declined"] == pytest.approx(0.005, abs=1 / 20_000)
    assert found.said == "2.00% of events may be alerted, 0.50% declined"


ROWS = st.lists(
    st.tuples(st.sampled_from([0.01, 0.02, 0.1, 0.3, 0.6, 0.9, 0.97]), st.booleans()), min_size=3, max_size=30
)


@settings(deadline=None, max_examples=150)
@given(ROWS, st.sampled_from([(100.0, 4.0, 20.0), (10.0, 4.0, 7.5), (3.0, 1.0, 2.0)]))
def test_no_pair_of_thresholds_costs_less(answered: list[tuple[float, bool]], paid: tuple[float, float, float]) -> None:
    """Of all pairs of thresholds on the rows, tried one by one, none is cheaper than the chosen one."""
    risks, labels = (np.array(column) for column in zip(*answered, strict=True))
    costs = Costs(*paid)
    wanted = {f"cost_{name}": value for name, value in costs._asdict().items()}
    at = [0.0, *(np.unique(risks) - 0.001), 1.0]
    pairs = [Thresholds(review=low, decline=high) for low, high in product(at, at) if low <= high]
    least = min(cost(risks, labels, pair, costs) for pair in pairs)
    ends = [pair for pair in pairs if pair.review == 0.0 or not (risks >= pair.review).any()]
    cheapest = min(cost(risks, labels, pair, costs) for pair in ends)
    try:
        found = by(risks, labels, by="cost", **wanted).figures["cost"]
    except DataError:  # no threshold is needed, or none can be chosen
        found = cheapest if labels.any() else least
    assert found == pytest.approx(least)


def test_a_risk_of_one_is_declined() -> None:
    """No threshold lies above it: what else is declined is chosen beside that, though alone nothing would be."""
    risks, labels = np.array([0.0] * 9 + [0.75] * 5 + [1.0] * 3), np.array([0] * 9 + [1] * 5 + [1, 0, 0], bool)
    found = by(risks, labels, by="cost", **COSTS)
    assert found.thresholds == Thresholds(review=0.375, decline=0.375)
    assert found.figures["cost"] == pytest.approx(2 * 20 / 17)


def test_the_cost_is_less_than_by_budget_and_near_the_ratio() -> None:
    """On calibrated risks it costs a good deal less than the budget's thresholds, and thresholds lie at the ratios."""
    risks, labels = rows(200_000)
    found, costs = by(risks, labels, by="cost", **COSTS), Costs(100, 4, 20)
    budgeted = cost(risks, labels, by(risks, labels).thresholds, costs)
    assert found.figures["cost"] < 0.7 * budgeted
    assert ratio(costs) == Thresholds(review=0.04, decline=0.8)
    assert found.thresholds.review == pytest.approx(0.04, abs=0.01)
    assert found.thresholds.decline == pytest.approx(0.8, abs=0.08)
    assert found.figures["cost"] <= found.figures["cost_by_ratio"] < 1.005 * found.figures["cost"]


def test_risks_that_are_wrong_cost_less_than_by_ratio() -> None:
    """Where risks are three times too small the ratios cost a third more; what is chosen on answers is not misled."""
    risks, labels = rows(50_000)
    found = by(risks / 3, labels, by="cost", **COSTS)
    right = by(risks, labels, by="cost", **COSTS)
    assert found.figures["cost"] == pytest.approx(right.figures["cost"])
    assert found.figures["cost_by_ratio"] > 1.2 * found.figures["cost"]


@pytest.mark.parametrize("decimals", [2, 6])
def test_false_positives_are_as_many_as_may_be(decimals: int) -> None:
    """Of the negatives as many are alerted and declined as may be, within one row or the rows of one risk."""
    risks, labels = rows(30_000)
    risks = np.round(risks, decimals)
    found = by(risks, labels, by="false_positives", false_positives=0.01, false_declines=0.001)
    negatives = risks[~labels]
    for threshold, share in ((found.thresholds.review, 0.01), (found.thresholds.decline, 0.001)):
        alerted = int((negatives >= threshold).sum())
        assert alerted <= share * len(negatives)
        highest_below = negatives[negatives < threshold].max()
        assert alerted + int((negatives == highest_below).sum()) > int(share * len(negatives))
    if decimals == 6:
        assert found.figures["false_positives"] == pytest.approx(0.01, abs=1 / len(negatives))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["by=cost", "cost_missed=9"], "thresholds: by=cost needs cost_declined, cost_review too"),
        (["cost_missed=9"], "thresholds: cost_missed belongs to by=cost, and by is budget"),
        (
            ["by=cost", "cost_missed=100", "cost_review=17", "cost_declined=20"],
            "costs 16.6667 or more is never cheaper",
        ),
        (["by=false_positives", "false_positives=0.01", "false_declines=0.02"], "more would be declined than alerted"),
        (["by=recall"], "Input should be 'budget', 'cost' or 'false_positives'"),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(given: list[str], said: str) -> None:
    """Before anything is read, with what is wrong."""
    with pytest.raises(SettingsError) as told:
        parsed(tuple(f"thresholds.{each}" for each in given))
    assert said in str(told.value)


def test_what_events_cost_is_told_of_the_test_part() -> None:
    """The card's sentence gives it where thresholds are chosen by cost, and nowhere else."""
    risks, labels = rows(5_000)
    wanted, at = ThresholdSettings(by="cost", **COSTS), Thresholds(review=0.04, decline=0.8)
    costs = paid(risks, labels, at, wanted)
    assert costs == {"cost": cost(risks, labels, at, Costs(100, 4, 20))}
    assert paid(risks, labels, at, ThresholdSettings()) == {}
    model = trained_manifest("transaction")
    does = model.metrics["at_thresholds"] | {"cost": 0.25}
    assert "costs" not in decided(model)
    paying = model.model_copy(update={"metrics": model.metrics | {"at_thresholds": does}})
    assert decided(paying).endswith("of all positives. An event of it costs 0.25.")


def test_a_section_is_no_setting() -> None:
    """In either order of what was typed."""
    for typed in (("gates=x", "gates.lift=2"), ("gates.lift=2", "gates=x")):
        with pytest.raises(SettingsError, match="--set gates"):
            parsed(typed)


def test_rates_that_contradict_each_other_are_refused() -> None:
    """More cannot be declined than is alerted."""
    with pytest.raises(SettingsError, match="decline_rate above review_rate"):
        parsed(("review_rate=0.01", "decline_rate=0.02"))


def test_what_the_rows_do_not_allow_is_refused() -> None:
    """No positive, a share of less than one negative, or costs that need no model: each is said."""
    risks, labels = rows(500)
    with pytest.raises(DataError, match="none of the validation events is positive"):
        by(risks, np.zeros(500, bool), by="cost", **COSTS)
    with pytest.raises(DataError, match=r"negatives of the validation part is less than one"):
        by(risks, labels, by="false_positives", false_positives=0.5, false_declines=0.0001)
    with pytest.raises(DataError, match=r"more than 1.000% of the negatives of the validation part have a risk of 1"):
        by(np.where(risks > 0.1, 1 - 1e-12, risks), labels, by="false_positives", **SHARES)
    with pytest.raises(DataError, match="cheapest to alert on every event"):
        by(risks, risks < 0.01, by="cost", cost_missed=1e9, cost_review=1.0, cost_declined=1e9)
    with pytest.raises(DataError, match="cheapest to alert on no event"):
        by(risks, labels, by="cost", cost_missed=1.0, cost_review=0.9999, cost_declined=1e9)


def test_the_bundle_says_how_they_were_chosen(tmp_path: Path) -> None:
    """A run by false positives: thresholds, sentence and share are in its manifest, and its gate expects that share."""
    archive = write_archive(tmp_path / "archive", simulated("application", 2000))
    wanted = ThresholdSettings(by="false_positives", false_positives=0.1, false_declines=0.02)
    how = QUICK.model_copy(update={"preset": "logistic", "epochs": 1, "thresholds": wanted})
    store = ModelStore(str(tmp_path / "models"), "application")
    made = train_once(Source(str(archive)), Job(APPLICATION, store, how, TRAINED_AT), SILENT)
    told = made.metrics["thresholds"]
    assert (told["by"], told["said"]) == ("false_positives", "10.000% of the negatives may be alerted, 2.000% declined")
    assert 0.09 < told["false_positives"] <= 0.1
    assert 0 < told["declined"] < told["alerted"] < 0.5
    (gate,) = [gate for gate in made.metrics["judgement"]["gates"] if gate["name"] == "alerts"]
    assert gate["figures"]["expected"] == told["alerted"]
    assert "10.000% of the negatives may be alerted" in card(made)
    assert made.settings["thresholds"]["false_positives"] == 0.1
