"""What a new model must show before it takes the champion's place: each gate with its numbers and a sentence.

    data → positives → floors → champion → calibration → alerts → segments → parity → latency → size

A gate that does not hold rejects the model, where it shows a fault, or leaves it in shadow, where it shows too little.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from streamscore.core.scoring.bundle import Thresholds
from streamscore.core.scoring.profile import Profile, change, psi, psi_threshold, share_gained
from trainer.evaluation.bootstrap import Interval, Pair, average_precision, difference, ranking
from trainer.evaluation.evaluate import calibration_error, calibration_error_by_chance
from trainer.settings import GateSettings

Verdict = Literal["promote", "shadow", "reject"]


class Gate(NamedTuple):
    """One gate: whether it holds, what happens `otherwise`, and what was found, in a sentence and as figures."""

    name: str
    holds: bool
    otherwise: Verdict
    said: str
    figures: dict[str, float]


@dataclass(frozen=True)
class Case:
    """A candidate on rows that it has not seen: what is judged.

    `labels` bool (rows,), `risks` and the `champion`'s calibrated risks float (rows,), None without a champion;
    `blocks` says whose each row is; `segments` are named groups of rows, bool (rows,). `profiles` are those of each
    feature, of what the champion was trained on (or the candidate, without one) and of the rows. `seconds` for an
    event at batch sizes; `parity` is the largest difference between the risks of the fitted and the reloaded model.
    `promised` is the average precision that the champion had when it was trained, `unjudged` why it cannot be asked.
    `codes` says what the values of features stand for that are categories.
    """

    labels: np.ndarray
    risks: np.ndarray
    champion: np.ndarray | None
    blocks: np.ndarray
    thresholds: Thresholds
    alert_rate: float
    validation_positives: int
    profiles: Mapping[str, tuple[Profile, Profile]]
    rates: tuple[float, float]  # of positives: in the champion's training, and in the rows
    segments: Mapping[str, np.ndarray] = field(default_factory=dict)
    parity: float = 0.0
    seconds: Mapping[int, float] = field(default_factory=dict)
    size: int = 0
    promised: float = 0.0
    unjudged: str = ""
    codes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    seed: int = 0


def promise(metrics: Mapping[str, Any]) -> float:
    """The average precision that a model's metrics say it had when it was trained; 0 where they say nothing of it."""
    return float(metrics.get("test", {}).get("average_precision", 0.0))


def gates(case: Case, settings: GateSettings) -> list[Gate]:
    """Every gate, in order. All are asked: a report shows what else is wrong."""
    return [gate(case, settings) for gate in _GATES]


def shadow_gates(case: Case, settings: GateSettings) -> list[Gate]:
    """The gates that ask for no more than what two models said of the same events, and what became of these."""
    return [gate(case, settings) for gate in (_floors, _champion, _calibration, _alerts)]


def verdict(found: list[Gate], champion: bool) -> tuple[Verdict, list[str]]:
    """What becomes of the model, and why. Without a champion, too little to be sure is no reason to have none."""
    failed = [gate for gate in found if not gate.holds]
    reasons = [gate.said for gate in failed]
    if any(gate.otherwise == "reject" for gate in failed):
        return "reject", reasons
    if failed and champion:
        return "shadow", reasons
    spared = [f"this would keep it from a champion's place, but there is no champion yet: {said}" for said in reasons]
    return "promote", spared or ["every gate holds"]


def _change(case: Case, name: str) -> str:
    return change(*case.profiles[name], case.codes.get(name, {}))


def _data(case: Case, settings: GateSettings) -> Gate:
    """Whether the rows look like what the champion was trained on: a broken feed must not become a model."""
    shifts = {name: psi(*both) for name, both in case.profiles.items()}
    # A world that drifts moves a little to everywhere, a broken feed much to one place.
    shifted = [
        name
        for name, both in case.profiles.items()
        if shifts[name] > psi_threshold(*both) and max(share_gained(*both)) >= settings.most_jump
    ]
    before, now = case.rates
    # Three standard deviations of the rows' own rate, and the factor allowed.
    chance = 3 * (now * (1 - now) / len(case.labels)) ** 0.5
    low, high = before / settings.most_rate_change - chance, before * settings.most_rate_change + chance
    said = [f"{name} is not what it was (PSI {shifts[name]:.2f}): {_change(case, name)}" for name in shifted]
    if not low <= now <= high:
        said.append(f"{now:.2%} of the events are positive, it was {before:.2%}: labels may be shifted or missing")
    figures = {f"psi {name}": at for name, at in shifts.items()} | {
        "positive rate": now,
        "positive rate before": before,
    }
    held = f"features and labels are distributed as before, largest PSI {max(shifts.values(), default=0.0):.3f}"
    return Gate("data", not said, "reject", "; ".join(said) or held, figures)


def _positives(case: Case, settings: GateSettings) -> Gate:
    found = {"validation": case.validation_positives, "test": int(case.labels.sum())}
    least = min(found.values())
    said = (
        f"{found['validation']:,} positives to choose by, {found['test']:,} to judge by, {settings.positives:,} needed"
    )
    return Gate("positives", least >= settings.positives, "shadow", said, {k: float(v) for k, v in found.items()})


def _floors(case: Case, settings: GateSettings) -> Gate:
    """Better than chance, and not far below what there was: then events or labels are not what they were."""
    rate, ours = (
        float(case.labels.mean()),
        average_precision(ranking(case.labels, case.risks), np.ones(len(case.labels))),
    )
    # In odds: twice a share of positives of more than a half could not be reached.
    lift, least = _odds(ours) / _odds(rate), settings.promise * case.promised
    said = f"average precision {ours:.4f} has {lift:.1f} times the odds of chance, {settings.lift:g} times is the least"
    if ours < least:
        said += (
            f"; it is below {least:.4f}, a part of the {case.promised:.4f} that the champion had: look at the labels"
        )
    figures = {"average precision": ours, "lift": lift, "promised": case.promised}
    return Gate("floors", lift >= settings.lift and ours >= least, "reject", said, figures)


def _odds(share: float) -> float:
    return share / max(1e-9, 1 - share)


def _champion(case: Case, settings: GateSettings) -> Gate:
    """No worse than the champion on the same rows: level at least, and the interval's lower bound above the margin.

    The bound alone would let a chain of models, each a little worse than the last, walk down a margin a time.
    """
    if case.champion is None:
        return Gate(
            "champion", not case.unjudged, "shadow", case.unjudged or "there is no champion to compare with", {}
        )
    found = difference([Pair(case.labels, case.risks, case.champion, case.blocks)], seed=case.seed)
    said = f"average precision less the champion's is {_written(found)}, needed are 0 and surely -{settings.margin:g}"
    otherwise: Verdict = "reject" if found.high < 0 else "shadow"
    holds = found.estimate >= 0 and found.low > -settings.margin
    return Gate("champion", holds, otherwise, said, found._asdict())


def _calibration(case: Case, settings: GateSettings) -> Gate:
    """Risks mean what they say: the calibration error is below its bound, or below what chance makes of so few rows."""
    error = calibration_error(case.labels, case.risks)
    bound = max(settings.calibration, 3 * calibration_error_by_chance(case.risks))
    said = f"the expected calibration error is {error:.5f}, at most {bound:.5f}"
    return Gate("calibration", bool(error <= bound), "reject", said, {"error": float(error), "bound": bound})


def _alerts(case: Case, settings: GateSettings) -> Gate:
    rate = float((case.risks >= case.thresholds.review).mean())
    chance = 3 * (case.alert_rate / len(case.risks)) ** 0.5
    low = case.alert_rate / settings.most_alert_change - chance
    high = case.alert_rate * settings.most_alert_change + chance
    said = f"{rate:.2%} of the events would raise an alert, {case.alert_rate:.2%} should"
    return Gate("alerts", low <= rate <= high, "shadow", said, {"rate": rate, "expected": case.alert_rate})


def _segments(case: Case, settings: GateSettings) -> Gate:
    """No group of rows with enough positives is worse off than with the champion, beyond the margin and chance."""
    figures, worse = dict[str, float](), list[str]()
    for name, rows in case.segments.items():
        if case.champion is None or case.labels[rows].sum() < settings.positives:
            continue
        pair = Pair(case.labels[rows], case.risks[rows], case.champion[rows], case.blocks[rows])
        found = difference([pair], seed=case.seed)
        figures[name] = found.estimate
        if found.high < -settings.margin:
            worse.append(f"{name} is worse off: {_written(found)}")
    said = "; ".join(worse) or f"none of {len(figures)} segments with enough positives is worse off"
    return Gate("segments", not worse, "reject", said, figures)


def _parity(case: Case, settings: GateSettings) -> Gate:
    said = (
        f"the bundle read back gives the fitted model's risks within {case.parity:.1e}, at most {settings.parity:.0e}"
    )
    return Gate("parity", case.parity <= settings.parity, "reject", said, {"difference": case.parity})


def _latency(case: Case, settings: GateSettings) -> Gate:
    slow = {size: seconds for size, seconds in case.seconds.items() if seconds * 1e6 > settings.microseconds}
    measured = ", ".join(f"{seconds * 1e6:.1f} µs at {size:,}" for size, seconds in case.seconds.items())
    said = f"an event takes {measured or 'a time not measured'} in a batch, {settings.microseconds:g} µs is allowed"
    return Gate("latency", not slow, "reject", said, {f"batch of {n}": s for n, s in case.seconds.items()})


def _size(case: Case, settings: GateSettings) -> Gate:
    said = f"the bundle has {case.size / 1e6:.1f} MB, {settings.megabytes:g} MB are allowed"
    return Gate("size", case.size <= settings.megabytes * 1e6, "reject", said, {"bytes": float(case.size)})


def _written(found: Interval) -> str:
    return f"{found.estimate:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


_GATES: tuple[Callable[[Case, GateSettings], Gate], ...] = (
    _data, _positives, _floors, _champion, _calibration, _alerts, _segments, _parity, _latency, _size,
)  # fmt: skip
