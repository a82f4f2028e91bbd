"""The network beside tuned gradient boosting and others, on public data: by the Handbook's protocol, and in k folds.

The public data sets are not part of the project: DATA names the folder that holds them as parquet.
"""

import json
from pathlib import Path

import numpy as np

from tests.bench.rows import Row
from tests.support.running import run_command
from tests.support.windows import transactions

BUILD = Path("build")
DAYS = ("2018-06-20", "2018-06-27", "2018-07-04", "2018-07-11")
BOOSTED = ("xgboost", "lightgbm")


def means(path: Path, figure: str) -> dict[str, float]:
    """Each model's figure, the mean over folds."""
    rows = json.loads(path.read_text())
    return {
        model: float(np.mean([row[figure] for row in rows if row["model"] == model]))
        for model in dict.fromkeys(row["model"] for row in rows)
    }


def handbook_rows(data: Path) -> list[Row]:
    """The rows of `make evidence ONLY=backtest`."""
    days = [part for day in DAYS for part in ("--first-training-day", day)]
    run_command("trainer", "backtest", "--protocol", "handbook", "--events", transactions(data), "--out", BUILD, *days)
    found = []
    for name, columns in (("backtest", "published columns"), ("backtest-handbook_history", "own history")):
        precision = means(BUILD / f"{name}.json", "average_precision")
        found += [Row(f"backtest, {columns}: {model}", value, "AP") for model, value in precision.items()]
        lead = precision["network"] - max(precision[model] for model in BOOSTED)
        found.append(Row(f"backtest, {columns}: network less the better boosted model", lead, "AP", ">= 0"))
    return found


def application_rows(data: Path, folder: Path) -> list[Row]:
    """The rows of `make evidence ONLY=applications`."""
    found = []
    for name in ("taiwan", "german"):
        file = next(data.glob(f"applications-{name}*.parquet"))
        kind = ("--protocol", "kfold", "--folds", 5, "--event-type", f"examples.{name}:APPLICATION")
        run_command("trainer", "backtest", *kind, "--events", file, "--out", folder / name)
        auc = means(folder / name / "backtest.json", "auc")
        found += [Row(f"applications, {name}: {model}", value, "AUC") for model, value in auc.items()]
        if name == "taiwan":
            lead = auc["network"] - auc["hist_gradient_boosting"]
            found.append(Row("applications, taiwan: network", auc["network"], "AUC", ">= 0.780"))
            found.append(Row("applications, taiwan: network less tuned boosting", lead, "AUC", ">= -0.005"))
        else:
            bounds = json.loads((folder / name / "backtest-leads.json").read_text())["logistic"]
            found.append(
                Row("applications, german: upper bound of network less logistic", bounds["high"], "AUC", ">= 0")
            )
            found.append(Row("applications, german: lower bound of network less logistic", bounds["low"], "AUC"))
    return found
