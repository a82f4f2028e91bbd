"""A backtest from the command line: what it writes, and that no model is told anything of what it is judged on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from sklearn.metrics import average_precision_score, roc_auc_score

from trainer.backtest import models
from trainer.cli.main import cli

MODELS = ["network", "xgboost", "lightgbm", "logistic", "dense"]
DAY = 86_400_000_000
START = 1_519_862_400_000_000  # 2018-03-01T00:00:00Z
DAYS = 37
QUICK = ["--set", "epochs=1", "--set", "preset=logistic", "--set", "members=2"]
Columns = dict[str, Any]


def payments(rows: int = 4000) -> Columns:
    """Five weeks of payments, in time order, of which the large ones and those at a few terminals are frauds."""
    random = np.random.default_rng(3)
    amount = np.round(random.lognormal(3, 1, rows), 2)
    terminal = random.integers(0, 60, rows)
    return {
        "transaction_id": np.arange(rows) + 7,
        "occurred_at": np.sort(random.integers(START, START + DAYS * DAY, rows)),
        "customer_id": random.integers(0, 300, rows),
        "terminal_id": terminal,
        "amount": amount,
        "is_fraud": (amount > 150) | ((terminal < 3) & (random.random(rows) < 0.7)),
    }


def written(path: Path, columns: Columns) -> Path:
    times = pa.array(columns["occurred_at"]).cast(pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({**columns, "occurred_at": times}), path)
    return path


def run(events: Path, out: Path, *more: str) -> Any:
    arguments = ["backtest", "--protocol", "handbook", "--events", str(events), "--out", str(out), *QUICK, *more]
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the standard output of a run of two folds over both tables."""
    folder = tmp_path_factory.mktemp("backtest")
    days = ["--first-training-day", "2018-03-08", "--first-training-day", "2018-03-15"]
    ended = run(written(folder / "events.parquet", payments()), folder / "out", *days)
    assert ended.exit_code == 0
    return folder / "out", ended.stdout


def test_what_is_written(done: tuple[Path, str]) -> None:
    """A row of figures for each fold and model, and a score for each of them and judged event, that agree."""
    folder, _ = done
    events = payments()
    label = dict(zip(events["transaction_id"], events["is_fraud"], strict=True))
    for name in ("backtest", "backtest-handbook_history"):
        rows = json.loads((folder / f"{name}.json").read_text())
        scores = pq.read_table(folder / f"{name}-scores.parquet").to_pandas()
        assert list(scores.columns) == ["fold", "model", "transaction_id", "score"]
        assert [(row["fold"], row["model"]) for row in rows] == [
            (fold, model) for fold in ("2018-03-08", "2018-03-15") for model in MODELS
        ]
        judged: dict[Any, Any] = {}
        for row in rows:
            assert list(row) == ["fold", "model", "auc", "average_precision", "card_precision_100"]
            own = scores[(scores["fold"] == row["fold"]) & (scores["model"] == row["model"])]
            judged.setdefault(row["fold"], []).append(own["transaction_id"].tolist())
            labels = own["transaction_id"].map(label).to_numpy(bool)
            assert row["auc"] == pytest.approx(roc_auc_score(labels, own["score"]))
            assert row["average_precision"] == pytest.approx(average_precision_score(labels, own["score"]))
            assert 0 < row["card_precision_100"] < 1
        assert all(ids == of_fold[0] for of_fold in judged.values() for ids in of_fold)


def test_what_is_said(done: tuple[Path, str]) -> None:
    """Standard output has a table for each event type, with its columns counted, and the network's lead with bounds."""
    _, said = done
    assert "handbook_published: 15 features, 2 folds" in said
    assert "handbook_history: " in said
    for model in MODELS:
        assert said.count(f"\n| {model} | ") == 2
    assert "network − lightgbm: average precision " in said
    assert "95 % of a paired bootstrap by customer_id" in said


def test_models_do_not_see_what_they_are_judged_on(tmp_path: Path) -> None:
    """With every label of the test week turned round, and the rows after the gap's first week too, scores are equal."""
    found = []
    for turned in (False, True):
        events = payments()
        later = events["occurred_at"] >= START + (7 + 14) * DAY
        events["is_fraud"] = events["is_fraud"] ^ (later & turned)
        path = written(tmp_path / f"{turned}.parquet", events)
        more = ["--first-training-day", "2018-03-08", "--event-type", "examples.handbook:PUBLISHED"]
        assert run(path, tmp_path / str(turned), *more).exit_code == 0
        found.append(pq.read_table(tmp_path / str(turned) / "backtest-scores.parquet"))
    assert found[0].equals(found[1])
    assert found[0].num_rows > 1000


def test_k_folds_without_time(tmp_path: Path) -> None:
    """A table without a column of times is judged in folds, each row once by each model, without card precision."""
    rows = pq.read_table(written(tmp_path / "all.parquet", payments(600))).to_pandas()
    rows = rows.drop(columns="occurred_at")
    rows.to_parquet(tmp_path / "events.parquet")
    arguments = ["backtest", "--protocol", "kfold", "--folds", "3", "--events", str(tmp_path / "events.parquet")]
    more = ["--event-type", "examples.handbook:PUBLISHED", "--out", str(tmp_path), *QUICK]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "TRIALS", 2)
        assert CliRunner().invoke(cli, [*arguments, *more], catch_exceptions=False).exit_code == 0
    figures = json.loads((tmp_path / "backtest.json").read_text())
    assert {row["model"] for row in figures} == {"network", "hist_gradient_boosting", "logistic", "dense"}
    assert set(figures[0]) == {"fold", "model", "auc", "average_precision"}
    scores = pq.read_table(tmp_path / "backtest-scores.parquet").to_pandas()
    assert (scores.groupby("model")["transaction_id"].nunique() == 600).all()
    assert len(scores) == 4 * 600
