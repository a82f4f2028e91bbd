"""Gradient boosting, to compare a network with and to teach it: XGBoost, LightGBM, and the values they were tuned to.

Neither is needed to score, nor to train without a teacher: both come with the extra `backtest`.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml

from streamscore.errors import SettingsError
from trainer.settings import TrainingSettings

Library = Literal["xgboost", "lightgbm"]
Part = tuple[np.ndarray, np.ndarray]  # features, labels
Forest = Callable[[np.ndarray, int], np.ndarray]  # the risks that the first so many trees give to rows

# For each event type and library what `python -m tools.tune_boosting` found on weeks before those that are reported.
CHOSEN = Path(__file__).with_name("boosting.yaml")
OTHERWISE = "handbook_published"
FINITE = (np.finfo(np.float32).min, np.finfo(np.float32).max)


class Tuned(NamedTuple):
    """A library's parameters and how many trees."""

    values: Mapping[str, float]
    trees: int


def tuned(event_type: str, library: Library) -> Tuned:
    """What was chosen for an event type's columns; for one that nobody tuned, what the published columns got."""
    chosen = yaml.safe_load(CHOSEN.read_text())
    found = dict(chosen.get(event_type, chosen[OTHERWISE])[library])
    return Tuned(values=found, trees=found.pop("trees"))


def forests(settings: TrainingSettings, count: int) -> list[dict[str, float]]:
    """XGBoost's parameters of so many forests: those of the settings' teacher, and a seed for each to draw by."""
    values = settings.teacher.model_dump(exclude={"trees"})
    return [{**values, "seed": settings.seed + number} for number in range(count)]


def grown(library: Library, train: Part, values: Mapping[str, float], trees: int) -> Forest:
    """So many trees that learnt from a part's float32 (rows, features); it has no need to be scaled.

    SettingsError says how to install a library that is missing.
    """
    return _GROWN[library](needed(library), train, values, trees)


def needed(library: Library) -> Any:
    """The library itself. SettingsError says how to install one that is missing."""
    try:
        return importlib.import_module(library)
    except ImportError:
        raise SettingsError(f"{library} is not installed: pip install 'streamscore[backtest]'") from None


def staged(library: Library, train: Part, test: np.ndarray, values: Mapping[str, float], trees: Sequence[int]) -> Any:
    """float (len(trees), rows): the risks that the first so many trees give to test rows, float32 (rows, features)."""
    forest = grown(library, train, values, max(trees))
    return np.stack([forest(test, count) for count in trees])


def splits(train: Part, values: Mapping[str, float], trees: int) -> list[np.ndarray]:
    """Of each column, float32 (rows, columns), the values at which XGBoost's trees split it, as often as they do.

    SettingsError says how to install it where it is missing.
    """
    nodes = _xgboost_model(needed("xgboost"), train, values, trees).trees_to_dataframe()
    found = {column: node["Split"].to_numpy() for column, node in nodes.groupby("Feature")}
    return [found.get(f"f{column}", np.empty(0)) for column in range(train[0].shape[1])]


def _xgboost(module: Any, train: Part, values: Mapping[str, float], trees: int) -> Forest:
    model = _xgboost_model(module, train, values, trees)
    return lambda rows, count: model.predict(module.DMatrix(_finite(rows)), iteration_range=(0, count))


def _xgboost_model(module: Any, train: Part, values: Mapping[str, float], trees: int) -> Any:
    fixed = {"objective": "binary:logistic", "tree_method": "exact", "base_score": 0.5, "seed": 0}
    return module.train({**fixed, **values}, module.DMatrix(_finite(train[0]), train[1]), trees)


def _finite(rows: np.ndarray) -> np.ndarray:
    """XGBoost refuses infinity, which a feature beyond float32 is; trees see only what is more than what."""
    return np.clip(rows, *FINITE)


def _lightgbm(module: Any, train: Part, values: Mapping[str, float], trees: int) -> Forest:
    fixed = {"objective": "binary", "deterministic": True, "force_row_wise": True, "seed": 0, "verbose": -1}
    model = module.train({**fixed, **values}, module.Dataset(train[0], train[1].astype(np.int8)), trees)
    return lambda rows, count: model.predict(rows, num_iteration=count)


_GROWN: Mapping[Library, Callable[..., Forest]] = {"xgboost": _xgboost, "lightgbm": _lightgbm}
