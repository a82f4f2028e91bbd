"""A search: it never sees the test part, finds better settings than it was given, and says how to use them."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from streamscore.core.events.application import APPLICATION
from streamscore.core.scoring.scaler import NumericScale, QuantileScale
from streamscore.errors import SettingsError
from tests.support.trained import simulated, write_archive
from trainer.cli.main import cli
from trainer.cli.options import parsed
from trainer.data import dataset
from trainer.data.dataset import DAY
from trainer.search import Between, Effort, Trial, before_the_test, best, rolling, search
from trainer.settings import TrainingSettings

SPACE = {"rate": Between(1e-4, 1.0), "drop": (0.0, 0.1, 0.2, 0.3)}


def peak(values: dict[str, Any]) -> float:
    """Best at a rate of 0.01 and a drop of 0.2."""
    return -abs(np.log10(values.get("rate", 1.0)) + 2) - abs(values.get("drop", 0.0) - 0.2)


@pytest.mark.parametrize("sampler", ["random", "bayesian"])
def test_a_search_finds_better_settings(sampler: Any) -> None:
    """Of 25 trials the best is far nearer to the peak than the first, and the same seed finds it again."""
    found = best(Effort(25, 1, sampler), SPACE, peak, seed=1)
    assert peak({}) == -2.2
    assert found.reached > -0.35
    assert found == best(Effort(25, 1, sampler), SPACE, peak, seed=1)
    assert best(Effort(1, 1, sampler), SPACE, peak, seed=1).values == {}


def test_bayesian_search_is_nearer() -> None:
    """On the mean of twenty seeds, 60 Bayesian trials end within three quarters of the distance of random ones."""
    efforts = (Effort(60, 1, "random"), Effort(60, 1, "bayesian"))
    random, bayesian = (-np.mean([best(effort, SPACE, peak, seed).reached for seed in range(20)]) for effort in efforts)
    assert bayesian < 0.75 * random


def test_without_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without optuna a Bayesian search names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SettingsError, match=r"needs optuna: pip install 'streamscore\[search\]'"):
        best(Effort(3, 1, "bayesian"), SPACE, peak, 0)


def test_folds_end_before_the_test_part() -> None:
    """Each fold is judged after what it learns from, a gap later, later than the fold before, never on test rows."""
    random = np.random.default_rng(0)
    times = np.sort(random.integers(0, 100 * DAY, 4000))
    data: Any = SimpleNamespace(times=times, labels=random.random(4000) < 0.2)
    settings = TrainingSettings(gap_days=3)
    parts = dataset.split(data, APPLICATION, settings)
    before = before_the_test(parts)
    assert before.max() < parts.test.min()
    folds = list(rolling(data, before, 3, settings))
    for fold in folds:
        assert times[before[fold.test]].min() - times[before[fold.train]].max() >= 3 * DAY
    judged = np.concatenate([fold.test for fold in folds])
    assert np.array_equal(judged, np.arange(judged[0], len(before)))
    assert [fold.train[0] for fold in folds] == [0, 0, 0]


def small(settings: TrainingSettings, trials: int, told: list[str]) -> Any:
    """A search on 2,000 rows of three features, one of them unlike the others."""
    random = np.random.default_rng(0)
    matrix = random.lognormal(0, 3, (2000, len(APPLICATION.features.names))).astype(np.float32)
    times, labels = np.arange(2000) * DAY // 20, matrix[:, 0] > np.quantile(matrix[:, 0], 0.8)
    data: Any = SimpleNamespace(times=times, labels=labels, matrix=matrix)
    return search(data, APPLICATION, settings, Effort(trials, 2, "random"), told.append)


@pytest.mark.parametrize(("scaler", "kind"), [("robust", NumericScale), ("quantile", QuantileScale)])
def test_trials_are_scaled_as_the_settings_say(monkeypatch: pytest.MonkeyPatch, scaler: Any, kind: type) -> None:
    """As a run is that follows."""
    seen: list[Any] = []

    def judged(learn: Any, *_: object) -> float:
        seen.append(learn.scaler)
        return 0.5

    monkeypatch.setattr("trainer.search._judged", judged)
    small(TrainingSettings(scaler=scaler, gap_days=0), 1, [])
    assert len(seen) == 2
    assert isinstance(seen[0].columns[0], kind)


def test_a_trial_that_fails_does_not_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings by which a fit diverges are said and count as worst; those that were given must do."""
    given = TrainingSettings(gap_days=0)
    told: list[str] = []

    def judged(_learn: Any, _judge: Any, settings: TrainingSettings) -> float:
        if settings != given:
            raise SettingsError("its numbers are infinite")
        return 0.5

    monkeypatch.setattr("trainer.search._judged", judged)
    assert small(given, 3, told) == Trial({}, 0.5)
    assert [line.startswith("its numbers are infinite: --set preset=") for line in told] == [False, True, True]
    monkeypatch.setattr("trainer.search._judged", lambda *_: judged(None, None, TrainingSettings()))
    with pytest.raises(SettingsError, match="infinite"):
        small(given, 3, told)


def test_the_command_gives_arguments(tmp_path: Path) -> None:
    """From settings that learn nothing it finds some that do, and prints what `trainer once` takes."""
    archive = write_archive(tmp_path, simulated("application", 1500))
    fixed = [f"--set={value}" for value in ("preset=dense", "epochs=2", "batch=64", "gap_days=0", "weight_decay=0.01")]
    asked = ["search", "--archive", str(archive), "--event-type", "application", "--trials", "3", "--folds", "2"]
    done = CliRunner().invoke(cli, [*asked, *fixed])
    assert done.exit_code == 0, done.output
    figures = [float(line.split()[2]) for line in done.stderr.splitlines() if line.startswith("average precision")]
    assert len(figures) == 3
    assert f"the best reached {max(figures):.4f}" in done.stderr
    assert done.stdout.startswith("--set preset=dense --set epochs=2")
    assert parsed(tuple(done.stdout.split()[1::2])).epochs == 2


def test_a_search_is_of_a_time_as_well(tmp_path: Path) -> None:
    """What the archive will have held at a time to come is not known, and nothing is searched."""
    archive = write_archive(tmp_path, simulated("application", 300))
    asked = ["search", "--archive", str(archive), "--event-type", "application", "--as-of", "2999-01-01"]
    done = CliRunner().invoke(cli, asked)
    assert "what the archive held at 2999-01-01 00:00:00+00:00 is not settled" in str(done.exception)
