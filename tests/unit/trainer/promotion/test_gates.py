"""Gates: each lets a good model pass and stops the fault it is there for, with a sentence that says which."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from streamscore.core.scoring.bundle import Thresholds
from streamscore.core.scoring.profile import edges, histogram
from trainer.promotion.gates import Case, Gate, gates, verdict
from trainer.settings import GateSettings

ROWS = 20_000
SETTINGS = GateSettings()


def drawn(seed: int, sharpness: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calibrated risks of two percent on average, answers drawn from them, and a feature behind them."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=ROWS)
    risks = 1 / (1 + np.exp(4.9 - sharpness * signal))
    return risks, random.random(ROWS) < risks, signal


RISKS, LABELS, SIGNAL = drawn(1, 2.0)
USUAL = histogram(SIGNAL, edges(SIGNAL))
LATER = histogram(drawn(2, 2.0)[2], USUAL.edges)
REVIEW = float(np.quantile(RISKS, 0.99))
GOOD = Case(
    labels=LABELS,
    risks=RISKS,
    champion=RISKS * 0.9,
    blocks=np.arange(ROWS) % 2000,
    thresholds=Thresholds(review=REVIEW, decline=REVIEW * 1.5),
    alert_rate=0.01,
    validation_positives=300,
    profiles={"amount": (USUAL, LATER)},
    rates=(float(LABELS.mean()), float(LABELS.mean())),
    segments={"country DE": np.arange(ROWS) % 2 == 0, "country FR": np.arange(ROWS) % 50 == 0},
    seconds={64: 5e-6, 1024: 1e-6},
    size=700_000,
)


def failed(case: Case, champion: bool = True) -> tuple[str, list[Gate]]:
    found = gates(case, SETTINGS)
    assert [gate.name for gate in found] == [
        "data", "positives", "floors", "champion", "calibration", "alerts", "segments", "parity", "latency", "size",
    ]  # fmt: skip
    assert all(np.isfinite(list(gate.figures.values())).all() for gate in found)
    return verdict(found, champion)[0], [gate for gate in found if not gate.holds]


def test_a_model_that_is_no_worse_is_promoted() -> None:
    """Every gate holds beside a champion of the same ranking, and without a champion."""
    assert failed(GOOD) == ("promote", [])
    assert verdict(gates(GOOD, SETTINGS), True) == ("promote", ["every gate holds"])
    assert failed(replace(GOOD, champion=None), champion=False) == ("promote", [])


ZEROS, GONE = (histogram(np.full(ROWS, value), USUAL.edges) for value in (0.0, np.nan))
FAULTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("data", {"profiles": {"amount": (USUAL, ZEROS)}}, "reject", "amount is not what it was (PSI"),
    ("data", {"profiles": {"amount": (USUAL, GONE)}}, "reject", "missing in 100.0%"),
    ("data", {"rates": (0.02, 0.06)}, "reject", "labels may be shifted"),
    ("data", {"rates": (0.02, 0.001)}, "reject", "0.10% of the events are positive, it was 2.00%"),
    ("floors", {"promised": 0.9}, "reject", "look at the labels"),
    ("champion", {"champion": None, "unjudged": "it needs what is gone"}, "shadow", "it needs what is gone"),
    ("positives", {"validation_positives": 99}, "shadow", "99 positives to choose by"),
    ("champion", {"risks": RISKS * 0.7 + 0.3 * RISKS[::-1]}, "reject", "average precision less the champion's is -"),
    ("calibration", {"risks": np.minimum(1, RISKS * 3), "champion": RISKS}, "reject", "calibration error"),
    ("alerts", {"thresholds": Thresholds(review=0.9, decline=0.95)}, "shadow", "1.00% should"),
    ("parity", {"parity": 1e-3}, "reject", "within 1.0e-03"),
    ("latency", {"seconds": {64: 0.01}}, "reject", "10000.0 µs at 64"),
    ("size", {"size": 2 * 10**8}, "reject", "200.0 MB"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fault", "becomes", "said"), FAULTS)
def test_a_fault_is_stopped_and_said(name: str, fault: dict[str, Any], becomes: str, said: str) -> None:
    """One thing is wrong with a good model: its gate says so, with the number, and the verdict follows."""
    outcome, stopped = failed(replace(GOOD, **fault))
    assert outcome == becomes
    (sentence,) = [gate.said for gate in stopped if gate.name == name]
    assert said in sentence


def test_a_world_that_drifts_is_learnt_from() -> None:
    """A shift that everybody would see, but of the whole distribution, is told in figures and stops nothing."""
    later = histogram(SIGNAL * 1.5 + 0.5, USUAL.edges)
    found = gates(replace(GOOD, profiles={"amount": (USUAL, later)}), SETTINGS)
    assert found[0].holds
    assert found[0].figures["psi amount"] > 0.1


def test_a_model_that_knows_nothing_is_rejected_also_as_the_first() -> None:
    """The same risk for every event is no model, even where there is none yet."""
    outcome, stopped = failed(replace(GOOD, risks=np.full(ROWS, LABELS.mean()), champion=None), champion=False)
    assert outcome == "reject"
    assert [gate.name for gate in stopped] == ["floors", "alerts"]


def test_one_that_may_be_worse_stays_in_shadow() -> None:
    """With few rows the interval is wide: nobody can say that it is no worse, nor that it is worse."""
    few = np.arange(ROWS) < 1500
    other = np.random.default_rng(7).permutation(RISKS[few])
    case = replace(
        GOOD,
        **{name: getattr(GOOD, name)[few] for name in ("labels", "blocks")},
        risks=0.85 * RISKS[few] + 0.15 * other,
        champion=RISKS[few],
        segments={},
    )
    found = {gate.name: gate for gate in gates(case, GateSettings(positives=2, calibration=0.5))}["champion"]
    assert not found.holds
    assert found.otherwise == "shadow"
    assert found.figures["low"] < -SETTINGS.margin < found.figures["high"]


def test_a_segment_that_loses_is_named() -> None:
    """Better on the whole, and useless for half of the events: that half is named, one with few positives is not."""
    half = GOOD.segments["country DE"]
    risks = np.where(half, np.random.default_rng(3).permutation(RISKS), RISKS)
    champion = np.where(half, RISKS, np.random.default_rng(4).permutation(RISKS))
    stopped = {gate.name: gate for gate in failed(replace(GOOD, risks=risks, champion=champion))[1]}
    assert "country DE is worse off" in stopped["segments"].said
    assert "country FR" not in stopped["segments"].said


def test_too_little_is_no_reason_to_have_no_model() -> None:
    """With few positives the first model is used, since there is none to protect, and it is said what it lacks."""
    few = replace(GOOD, champion=None, validation_positives=5)
    assert failed(few, champion=False)[0] == "promote"
    (said,) = verdict(gates(few, SETTINGS), champion=False)[1]
    assert said.startswith("this would keep it from a champion's place, but there is no champion yet: 5 positives")
