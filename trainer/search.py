"""Which settings are best: trials on rolling-origin folds of the rows before the test part, which nobody looks at.

A fold learns from what is older than its origin and is judged on what comes next (Tashman, 2000); a trial's figure is
the mean over folds of the average precision of its best epoch, as in a run. The first trial is the settings as given.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score

from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.scaler import Scaler
from streamscore.errors import DataError, SettingsError
from streamscore.files.as_of import OnProgress
from trainer.data import dataset
from trainer.data.dataset import DAY, LEAST_POSITIVES, Dataset
from trainer.data.part import Part, evenly_spaced
from trainer.evaluation.folds import Fold, k_folds
from trainer.fitting import user_network
from trainer.fitting.distil import fitted
from trainer.fitting.fit import logits
from trainer.fitting.scaler_choice import LOOKED_AT, scaler_for
from trainer.fitting.scaling import FITTED
from trainer.settings import TrainingSettings

Sampler = Literal["random", "bayesian"]
Values = dict[str, Any]
Objective = Callable[[Values], float]

# The share of the rows that every fold learns from, the oldest.
OLDEST = 0.4


class Between(NamedTuple):
    """A number that may be anything between two, by the logarithm."""

    low: float
    high: float


Space = Mapping[str, Between | tuple[Any, ...]]
SPACE: Space = {
    "preset": ("default", "dense", "periodic"),
    "learning_rate": Between(3e-4, 1e-2),
    "weight_decay": Between(1e-3, 0.3),
    "dropout": (0.0, 0.1, 0.2, 0.3, 0.4),
    "epochs": (6, 12, 20),
}


class Effort(NamedTuple):
    """How much is tried: so many trials, each on so many folds, drawn by a sampler."""

    trials: int
    folds: int
    sampler: Sampler


class Trial(NamedTuple):
    """Settings that were tried, and the mean average precision that they reached."""

    values: Values
    reached: float


def search(
    data: Dataset, event_type: EventType, settings: TrainingSettings, effort: Effort, on_progress: OnProgress
) -> Trial:
    """The best trial of an effort; what the settings say themselves is not tried."""
    before = before_the_test(dataset.split(data, event_type, settings))
    days = dataset.days_apart(data.times, event_type, settings)
    folds = list(rolling(data, before, effort.folds, settings.model_copy(update={"gap_days": days})))
    scaler = _scaler(data, event_type, before, folds[0], settings)
    user_network.check(scaler, settings)
    rows = Part(data.matrix, before, data.labels[before], scaler)
    parts = [(rows.take(fold.train), rows.take(fold.test)) for fold in folds]
    free = {name: of for name, of in SPACE.items() if name not in settings.model_fields_set}

    def reached(values: Values) -> float:
        chosen = settings.model_copy(update=values)
        try:
            found = float(np.mean([_judged(learn, judge, chosen) for learn, judge in parts]))
        except SettingsError as error:
            if not values:
                raise
            on_progress(f"{error}: {arguments(values)}")  # one trial that fails is not the end of the others
            return 0.0
        on_progress(f"average precision {found:.4f} on {len(parts)} folds: {arguments(values) or 'as given'}")
        return found

    return best(effort, free, reached, settings.seed)


def _scaler(
    data: Dataset, event_type: EventType, before: np.ndarray, oldest: Fold, settings: TrainingSettings
) -> Scaler:
    """Fit the scaler on the training rows of the oldest fold.

    Every later fold also trains on these rows, so no fold sees its own future. There is one exception: with
    scaler=auto, the type of the scaler is chosen on the rows that the oldest fold is judged on.
    """
    learn = evenly_spaced(before[oldest.train], FITTED)
    choose = evenly_spaced(before[oldest.test], LOOKED_AT)
    shown = [(data.matrix[rows], data.labels[rows]) for rows in (learn, choose)]
    return scaler_for(event_type.features, shown[0], shown[1], settings)


def arguments(values: Values) -> str:
    """Settings as the arguments of a command."""
    return " ".join(f"--set {name}={value}" for name, value in values.items())


def before_the_test(parts: dataset.Split) -> np.ndarray:
    """The rows of training, of choosing, and between them."""
    if parts.validation[0] > parts.train[-1]:
        return np.arange(parts.validation[-1] + 1)
    return np.sort(np.concatenate([parts.train, parts.validation]))


def rolling(data: Dataset, before: np.ndarray, count: int, settings: TrainingSettings) -> Iterator[Fold]:
    """Folds by time with the gap of the settings between learning and judging; stratified ones for data without time.

    Their row numbers are places in `before`. DataError when one has too few positives.
    """
    times, labels = data.times[before], data.labels[before]
    found = _by_time(times, count, settings) if settings.split == "time" else k_folds(labels, count, settings.seed)
    for fold in found:
        for rows in (fold.train, fold.test):
            positives = int(labels[rows].sum())
            if min(positives, len(rows) - positives) < LEAST_POSITIVES:
                raise DataError(
                    f"a part of fold {fold.name} has {positives} positives in {len(rows)} events; take fewer"
                )
        yield fold


def _by_time(times: np.ndarray, count: int, settings: TrainingSettings) -> Iterator[Fold]:
    rows, gap = np.arange(len(times)), int((settings.gap_days or 0) * DAY)
    shares = OLDEST + (1 - OLDEST) * np.arange(count + 1) / count
    origins = np.searchsorted(times, times[np.minimum((len(times) * shares).astype(int), len(times) - 1)])
    origins[-1] = len(times)
    for number, (start, end) in enumerate(pairwise(origins), 1):
        yield Fold(str(number), rows[: np.searchsorted(times, times[start] - gap)], rows[start:end])


def _judged(learn: Part, judge: Part, settings: TrainingSettings) -> float:
    network = fitted(learn, judge, settings, lambda _: None)
    return float(average_precision_score(judge.labels, logits(network, judge)))


def best(effort: Effort, space: Space, reached: Objective, seed: int) -> Trial:
    """The trial of a space that reached most, a tie for the earlier; the first tries nothing."""
    sampler = {"random": _random, "bayesian": _bayesian}[effort.sampler]
    return sampler(space, reached, effort.trials, seed)


def _random(space: Space, reached: Objective, trials: int, seed: int) -> Trial:
    random = np.random.default_rng(seed)
    drawn = [{}, *({name: _drawn(of, random) for name, of in space.items()} for _ in range(trials - 1))]
    return max((Trial(values, reached(values)) for values in drawn), key=lambda trial: trial.reached)


def _drawn(of: Between | tuple[Any, ...], random: np.random.Generator) -> Any:
    if isinstance(of, Between):
        return _three_digits(float(np.exp(random.uniform(*np.log(of)))))
    return of[int(random.integers(len(of)))]


def _three_digits(value: float) -> float:
    """Rounded to three significant digits: more would not be told apart, and are hard to type."""
    return float(f"{value:.3g}")


def _bayesian(space: Space, reached: Objective, trials: int, seed: int) -> Trial:
    """Tree-structured Parzen estimators (Bergstra et al., 2011), by optuna."""
    try:
        optuna = importlib.import_module("optuna")
    except ImportError:
        raise SettingsError("a bayesian search needs optuna: pip install 'streamscore[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tried = [Trial({}, reached({}))]

    def asked(trial: Any) -> float:
        values = {name: _suggested(trial, name, of) for name, of in space.items()}
        tried.append(Trial(values, reached(values)))
        return tried[-1].reached

    startup = max(2, trials // 3)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(n_startup_trials=startup, seed=seed)
    )
    study.optimize(asked, n_trials=trials - 1)
    return max(tried, key=lambda trial: trial.reached)


def _suggested(trial: Any, name: str, of: Between | tuple[Any, ...]) -> Any:
    if isinstance(of, Between):
        return _three_digits(trial.suggest_float(name, *of, log=True))
    return trial.suggest_categorical(name, of)
