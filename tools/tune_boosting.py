"""How `trainer/boosting.yaml` was found: `DATA=folder python -m tools.tune_boosting NAME library [trials]`.

Random search by the mean average precision of weeks whose labels were all known before the first reported test week
begins, 2018-07-04. How many trees: of each trial the best of a few, so one trial judges several models. NAME is the
event type, such as `examples.handbook:PUBLISHED`.
"""

import sys
from collections.abc import Callable
from datetime import date
from typing import get_args

import numpy as np
import yaml
from sklearn.metrics import average_precision_score

from streamscore.registry import find_event_type
from tests.support.windows import data_folder, transactions
from trainer.backtest.backtest import Table, handbook_folds, tables
from trainer.fitting.boosting import CHOSEN, Library, Part, staged

TRAINING_DAYS = [date(2018, 5, 23), date(2018, 5, 30), date(2018, 6, 6)]
TREES = [25, 50, 75, 100, 150]
# A trial that is so far behind the best one on the first fold is not pursued on the others.
HOPELESS = 0.03
Values = dict[str, float]


def drawn(library: Library, random: np.random.Generator) -> Values:
    """One trial's parameters."""

    def log(low: float, high: float) -> float:
        return float(f"{np.exp(random.uniform(np.log(low), np.log(high))):.3g}")

    def share(low: float) -> float:
        return round(random.uniform(low, 1), 2)

    if library == "xgboost":
        return {
            "max_depth": int(random.integers(2, 11)),
            "learning_rate": log(0.04, 0.3),
            "min_child_weight": log(0.3, 50),
            "subsample": share(0.5),
            "colsample_bytree": share(0.4),
            "reg_lambda": log(0.1, 100),
            "reg_alpha": log(1e-3, 10),
            "gamma": log(1e-3, 5),
        }
    return {
        # With the usual 255 the few rows of a rare large amount or risk share a bin with ordinary ones.
        "max_bin": int(random.choice([255, 1023, 4095])),
        "num_leaves": int(log(4, 128)),
        "learning_rate": log(0.04, 0.3),
        "min_data_in_leaf": int(log(5, 1000)),
        "bagging_fraction": share(0.5),
        "bagging_freq": 1,
        "feature_fraction": share(0.4),
        "lambda_l2": log(0.1, 100),
        "lambda_l1": log(1e-3, 10),
        "min_gain_to_split": log(1e-4, 1),
    }


def search(library: Library, parts: list[tuple[Part, Part]], trials: int, told: Callable[[str], None]) -> Values:
    """The best values of so many trials, with their number of trees and what they reached."""
    random, best = np.random.default_rng(0), {"average_precision": 0.0}
    to_beat = np.zeros(len(TREES))
    for trial in range(1, trials + 1):
        values, curves = drawn(library, random), []
        for train, (test, labels) in parts:
            found = staged(library, train, test, values, TREES)
            curves.append([average_precision_score(labels, risks) for risks in found])
            if max(curves[0]) < to_beat.max() - HOPELESS:
                break
        curve = np.mean(curves, axis=0)
        if len(curves) == len(parts) and curve.max() > best["average_precision"]:
            best = {**values, "trees": TREES[int(curve.argmax())], "average_precision": round(float(curve.max()), 4)}
            to_beat = np.array(curves[0])
        told(f"{library} {trial}/{trials}: {curve.max():.4f} on {len(curves)} folds, best {best}")
    return best


def parts_of(table: Table) -> list[tuple[Part, Part]]:
    """Features and labels of the training and the test part of each fold."""
    matrix, labels = table.matrix, table.labels
    return [
        ((matrix[fold.train], labels[fold.train]), (matrix[fold.test], labels[fold.test]))
        for fold in handbook_folds(table, TRAINING_DAYS)
    ]


def main() -> None:
    """Search, and write what was found into its place."""
    name, library, *more = sys.argv[1:]
    data, chosen = data_folder(), next(known for known in get_args(Library) if known == library)
    if data is None:
        raise SystemExit("tuning needs the public data sets: DATA=folder")
    [table] = tables(transactions(data), [find_event_type(name)], None, print)
    best = search(chosen, parts_of(table), int(more[0]) if more else 45, lambda line: print(line, flush=True))
    found = yaml.safe_load(CHOSEN.read_text()) if CHOSEN.exists() else {}
    del best["average_precision"]
    found.setdefault(table.event_type.name, {})[library] = best
    CHOSEN.write_text(yaml.safe_dump(found))


if __name__ == "__main__":
    main()
