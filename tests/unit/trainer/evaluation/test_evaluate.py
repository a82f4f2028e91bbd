"""The figures of a model, each against its definition, and what they are where little can be said."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Thresholds
from streamscore.errors import SettingsError
from trainer.data.dataset import DAY
from trainer.data.segments import Group, check, fields_of, groups
from trainer.evaluation.breakdown import fairness, months, segments, stable
from trainer.evaluation.evaluate import Answered, figures, precision_at_budget
from trainer.settings import TrainingSettings

BUDGET = 0.1
# Label, risk of few values so that many tie, day.
ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(-2, 2)), max_size=40)
FEBRUARY = 1_738_368_000_000_000  # 2025-02-01T00:00:00Z


def answered(rows: list[tuple[bool, int, int]], budget: float = BUDGET) -> tuple[Answered, np.ndarray]:
    """Labels and days as what was answered, and the risks, in tenths, beside them."""
    labels, risks, days = (np.array([row[n] for row in rows], kind) for n, kind in enumerate((bool, float, np.int64)))
    return Answered(labels, days * DAY + 7, budget), risks / 10


def taken(found: list[tuple[bool, int, int]], budget: float) -> float:
    """By definition: from each day's riskiest event down while there is budget; ties share what is left."""
    caught = 0.0
    for day in {row[2] for row in found}:
        left = budget * sum(row[2] == day for row in found)
        for risk in range(4, -1, -1):
            tied = [row[0] for row in found if row[2] == day and row[1] == risk]
            part = min(1.0, left / len(tied)) if tied else 0.0
            caught, left = caught + part * sum(tied), left - part * len(tied)
    return caught / (budget * len(found))


@settings(deadline=None, max_examples=200)
@given(ROWS)
def test_figures_are_what_they_are_called(rows: list[tuple[bool, int, int]]) -> None:
    """Precision at the budget, recall at a false-positive rate, and KS are those of their definitions."""
    truth, risks = answered(rows)
    found, labels = figures(truth, risks), truth.labels
    assert found["precision_at_budget"] == (pytest.approx(taken(rows, BUDGET)) if rows else None)
    if not labels.any() or labels.all():
        return
    points = [((risks[labels] >= cut).mean(), (risks[~labels] >= cut).mean()) for cut in [np.inf, *np.unique(risks)]]
    assert found["recall_at_1_percent"] == pytest.approx(max(right for right, wrong in points if wrong <= 0.01))
    assert found["ks"] == pytest.approx(max(abs(right - wrong) for right, wrong in points))
    assert found["brier"] == pytest.approx(
        np.mean([(risk - label) ** 2 for label, risk in zip(labels.tolist(), risks, strict=True)])
    )
    assert found["auc"] == pytest.approx(roc_auc_score(labels, risks))
    assert found["average_precision"] == pytest.approx(average_precision_score(labels, risks))


def test_recall_takes_one_percent_of_negatives() -> None:
    """Of 1,000 negatives ten may be alerted, and an eleventh, or a tie that has it, may not."""
    risks = np.r_[0.9, np.full(9, 0.8), 0.7, np.full(989, 0.1), 0.95, 0.8, 0.75, 0.7]
    labels = np.arange(1004) >= 1000
    assert figures(Answered(labels, np.zeros(1004, np.int64), BUDGET), risks)["recall_at_1_percent"] == 0.75
    risks[9] = 0.7
    assert figures(Answered(labels, np.zeros(1004, np.int64), BUDGET), risks)["recall_at_1_percent"] == 0.75
    risks[9:11] = 0.1
    assert figures(Answered(labels, np.zeros(1004, np.int64), BUDGET), risks)["recall_at_1_percent"] == 1.0


@pytest.mark.parametrize("budget", [0.01, 0.26, 1.0])
def test_a_budget_of_less_than_an_event_counts_in_part(budget: float) -> None:
    """On days of few events the budget is kept too: neither rounded up to an alert nor down to none."""
    rows = [(True, 4, 0), (False, 1, 0), (False, 4, 1), (True, 3, 1), (False, 0, 1)]
    assert precision_at_budget(*answered(rows, budget)) == pytest.approx(taken(rows, budget))


def test_the_order_of_ties_changes_nothing() -> None:
    """Rows of one risk and one day may come in any order."""
    rows = [(True, 2, 0)] * 3 + [(False, 2, 0)] * 7
    assert precision_at_budget(*answered(rows)) == pytest.approx(0.3)
    assert precision_at_budget(*answered(rows[::-1])) == pytest.approx(0.3)


UNSAID = {"auc", "recall_at_1_percent", "ks"}


@pytest.mark.parametrize(
    ("labels", "unsaid"), [([True] * 5, UNSAID), ([False] * 5, UNSAID | {"average_precision"}), ([], None)]
)
def test_of_one_kind_only(labels: list[bool], unsaid: set[str] | None) -> None:
    """What needs both kinds of answers is None where there is one kind; of no rows, everything is."""
    found = figures(*answered([(label, 3, 0) for label in labels]))
    assert {name for name, value in found.items() if value is None} == (unsaid if unsaid is not None else set(found))


def drawn(rows: int) -> tuple[Answered, np.ndarray]:
    random = np.random.default_rng(2)
    risks = random.random(rows)
    return Answered(random.random(rows) < risks, FEBRUARY + random.integers(0, 40 * DAY, rows), BUDGET), risks


def test_months_and_segments_are_the_figures_of_their_rows() -> None:
    """Each part has the figures of its rows alone; months are calendar months in UTC."""
    truth, risks = drawn(2000)
    found = months(truth, risks)
    early = truth.times < FEBRUARY + 28 * DAY
    assert [month["month"] for month in found] == ["2025-02", "2025-03"]
    expected = {"events": early.sum(), "positives": truth.labels[early].sum()}
    assert found[0] == {"month": "2025-02", **expected, **figures(truth.take(early), risks[early])}
    assert sum(month["events"] for month in found) == 2000
    (segment,) = segments(truth, risks, [Group("channel", "chip", early)])
    assert segment == {"field": "channel", "value": "chip"} | {k: v for k, v in found[0].items() if k != "month"}
    one_day = Answered(truth.labels, np.full(2000, FEBRUARY), BUDGET)
    assert [month["month"] for month in months(one_day, risks)] == ["2025-02"]


def test_fairness_counts_what_happens_to_each_group() -> None:
    """Alert rate, precision and recall of each group are counts of its own rows, and the ratio is of alert rates."""
    truth, risks = drawn(1000)
    labels = truth.labels.copy()
    old, young, few = (np.arange(1000) % 2 == 0), (np.arange(1000) % 2 == 1), np.arange(1000) < 3
    labels[few], risks[few] = False, 0.0
    who = [Group("age", "old", old), Group("age", "young", young), Group("home", "few", few)]
    found = fairness(labels, risks, Thresholds(review=0.5, decline=0.9), who)
    for group, told in zip(who[:2], found["age"]["groups"], strict=True):
        alerted = [
            bool(label) for label, risk in zip(labels[group.rows], risks[group.rows], strict=True) if risk >= 0.5
        ]
        assert told["alerted"] == len(alerted) / 500
        assert told["precision"] == sum(alerted) / len(alerted)
        assert told["recall"] == sum(alerted) / labels[group.rows].sum()
    shares = [told["alerted"] for told in found["age"]["groups"]]
    assert found["age"]["ratio"] == min(shares) / max(shares)
    assert found["home"] == {"ratio": None, "groups": [
        {"value": "few", "events": 3, "positives": 0, "alerted": 0.0, "precision": None, "recall": None}
    ]}  # fmt: skip


def test_small_groups_are_not_compared() -> None:
    """A group that would have an alert or none by chance changes no ratio; without any alert there is none."""
    risks = np.tile([0.9, 0.1, 0.1, 0.1], 100)
    half, tiny = np.arange(400) < 200, np.arange(400) == 1
    who = [Group("age", "a", half), Group("age", "b", ~half), Group("age", "c", tiny)]
    assert fairness(risks > 1, risks, Thresholds(review=0.5, decline=1), who)["age"]["ratio"] == 1
    assert fairness(risks > 1, risks, Thresholds(review=1, decline=1), who)["age"]["ratio"] is None


def test_risks_that_moved_are_told_from_chance() -> None:
    """Two draws of one distribution stay below the threshold, also few of them; shifted ones do not."""
    random = np.random.default_rng(5)
    before = random.beta(1, 20, 50_000)
    for rows in (100, 20_000):
        found = stable(before, random.beta(1, 20, rows))
        assert found["psi"] < found["threshold"]
        found = stable(before, random.beta(1, 7, rows))
        assert found["psi"] > found["threshold"]


class Held:
    """Events in memory, as `Events` gives them."""

    def __init__(self, **columns: Any) -> None:
        self.table = pa.table(columns)

    def take(self, rows: np.ndarray, columns: list[str]) -> pa.Table:
        return self.table.select(columns).take(rows)


def test_groups_of_values_and_bands() -> None:
    """A field's frequent values, a number's bands of about equal mass, and what is missing, each row in one group."""
    ages = [*range(100), *[None] * 10]
    events: Any = Held(age=ages, kind=["a"] * 60 + ["b|<b>"] * 50, made=[1.0] * 100 + [None] * 10)
    rows = np.arange(5, 110)
    found = {group.name: group.rows for group in groups(events, rows, ["age", "kind", "made"])}
    assert list(found)[:5] == ["age 5 to 23", "age 24 to 42", "age 43 to 61", "age 62 to 80", "age 81 to 99"]
    assert {name: int(inside.sum()) for name, inside in found.items()} == {
        "age 5 to 23": 19, "age 24 to 42": 19, "age 43 to 61": 19, "age 62 to 80": 19, "age 81 to 99": 19,
        "age (missing)": 10, "kind a": 55, "kind b|<b>": 50, "made 1": 95, "made (missing)": 10,
    }  # fmt: skip
    nothing: Any = Held(age=[None, None])
    assert [group.name for group in groups(nothing, np.arange(2), ["age"])] == ["age (missing)"]
    assert groups(events, np.arange(0), ["age"]) == []
    hidden: Any = Held(text=["\x1b[2J"])
    assert [group.name for group in groups(hidden, np.arange(1), ["text"])] == [r"text '\x1b[2J'"]
    alike: Any = Held(number=[1234567.0, 1234568.0, 0.5, None], text=["missing", "x", None, "x"])
    names = [group.name for group in groups(alike, np.arange(4), ["number", "text"])]
    assert names[:4] == ["number 1234567", "number 1234568", "number 0.5", "number (missing)"]
    assert set(names[4:]) == {"text x", "text missing", "text (missing)"}


@pytest.mark.parametrize(
    ("setting", "name", "said"),
    [("segments", "chanel", r"did you mean channel\?"), ("fairness", "years", "it has event_id, ")],
)
def test_a_field_that_is_none_is_told(setting: str, name: str, said: str) -> None:
    """A setting that names no field of the events is refused with the one that was meant, or those there are."""
    assert fields_of(" channel ,,country,channel") == ["channel", "country"]
    with pytest.raises(SettingsError, match=f"^{setting}: transaction has no field {name}; {said}"):
        check(TRANSACTION, TrainingSettings.model_validate({setting: f"channel,{name}"}))
    check(APPLICATION, TrainingSettings(segments="channel", fairness="age"))
