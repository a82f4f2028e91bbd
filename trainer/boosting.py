"""Gradient boosting to compare a network with: XGBoost and LightGBM, and the values they were tuned to.

Neither is needed to train or to score: both come with the extra `backtest`.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml

from streamscore.errors import SettingsError

Library = Literal["xgboost", "lightgbm"]
Part = tuple[np.ndarray, np.ndarray]  # features, labels

# For each event type and library what `python -m tests.tune_boosting` found on weeks before those that are reported.
CHOSEN = Path(__file__).with_name("boosting.yaml")
OTHERWISE = "handbook_published"


class Tuned(NamedTuple):
    """A library's parameters and how many trees."""

    values: Mapping[str, float]
    trees: int


def tuned(event_type: str, library: Library) -> Tuned:
    """What was chosen for an event type's columns; for one that nobody tuned, what the published columns got."""
    chosen = yaml.safe_load(CHOSEN.read_text())
    found = dict(chosen.get(event_type, chosen[OTHERWISE])[library])
    return Tuned(values=found, trees=found.pop("trees"))


def staged(library: Library, train: Part, test: np.ndarray, values: Mapping[str, float], trees: Sequence[int]) -> Any:
    """float (len(trees), rows): the risks that the first so many trees give to test rows, float32 (rows, features).

    SettingsError says how to install a library that is missing.
    """
    try:
        module = importlib.import_module(library)
    except ImportError:
        raise SettingsError(f"{library} is not installed: pip install 'streamscore[backtest]'") from None
    return np.stack(_STAGED[library](module, train, test, values, trees))


def _xgboost(
    module: Any, train: Part, test: np.ndarray, values: Mapping[str, float], trees: Sequence[int]
) -> list[np.ndarray]:
    fixed = {"objective": "binary:logistic", "tree_method": "exact", "base_score": 0.5, "seed": 0}
    model = module.train({**fixed, **values}, module.DMatrix(train[0], train[1]), max(trees))
    rows = module.DMatrix(test)
    return [model.predict(rows, iteration_range=(0, count)) for count in trees]


def _lightgbm(
    module: Any, train: Part, test: np.ndarray, values: Mapping[str, float], trees: Sequence[int]
) -> list[np.ndarray]:
    fixed = {"objective": "binary", "deterministic": True, "force_row_wise": True, "seed": 0, "verbose": -1}
    model = module.train({**fixed, **values}, module.Dataset(train[0], train[1].astype(np.int8)), max(trees))
    return [model.predict(test, num_iteration=count) for count in trees]


_STAGED: Mapping[Library, Callable[..., list[np.ndarray]]] = {"xgboost": _xgboost, "lightgbm": _lightgbm}
