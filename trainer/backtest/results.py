"""What a backtest found, for people and for programs: a table, intervals, a JSON file and the scores."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streamscore.files.output import whole_file
from trainer.backtest.backtest import Judged, Table
from trainer.evaluation.bootstrap import Interval, Pair, average_precision, difference, roc_auc

FIGURES = {"auc": roc_auc, "average_precision": average_precision}
OURS = "network"
TITLES = {"auc": "AUC", "average_precision": "average precision", "card_precision_100": "card precision@100"}


def write(table: Table, judged: Sequence[Judged], ahead: dict[str, Interval], out: Path) -> None:
    """`out`.json with a row of figures per fold and model, `out`-leads.json, and `out`-scores.parquet of all events.

    DataError when they cannot be written.
    """
    rows = [{"fold": one.fold.name, "model": one.model, **one.figures} for one in judged]
    with whole_file(out.with_name(f"{out.name}.json")) as file:
        file.write(json.dumps(rows, indent=1).encode() + b"\n")
    with whole_file(out.with_name(f"{out.name}-leads.json")) as file:
        file.write(
            json.dumps({rival: interval._asdict() for rival, interval in ahead.items()}, indent=1).encode() + b"\n"
        )
    parts = [
        pa.table(
            {
                "fold": np.full(len(one.risks), one.fold.name),
                "model": np.full(len(one.risks), one.model),
                table.event_type.wire_name("event_id"): table.ids[one.fold.test],
                "score": one.risks.astype(np.float64),
            }
        )
        for one in judged
    ]
    with whole_file(out.with_name(f"{out.name}-scores.parquet")) as file:
        pq.write_table(pa.concat_tables(parts), file, compression="zstd")


def lines(table: Table, judged: Sequence[Judged], metric: str) -> Iterator[str]:
    """The table as markdown: each model's mean and standard deviation over folds, and `metric` of each fold."""
    folds = list(dict.fromkeys(one.fold.name for one in judged))
    names = list(judged[0].figures)
    yield f"{table.event_type.name}: {len(table.event_type.features.features)} features, {len(folds)} folds"
    yield ""
    yield row(["model", *(TITLES[name] for name in names), *(f"{TITLES[metric]}, {fold}" for fold in folds)])
    yield row(["---"] * (1 + len(names) + len(folds)))
    for model in models(judged):
        own = [one.figures for one in judged if one.model == model]
        spread = [(np.mean([f[name] for f in own]), np.std([f[name] for f in own])) for name in names]
        means = [f"{mean:.4f} ± {deviation:.4f}" for mean, deviation in spread]
        yield row([model, *means, *(f"{figures[metric]:.4f}" for figures in own)])


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def models(judged: Sequence[Judged]) -> list[str]:
    return list(dict.fromkeys(one.model for one in judged))


def mean(judged: Sequence[Judged], model: str, metric: str) -> float:
    """A model's figure, the mean over folds."""
    return float(np.mean([one.figures[metric] for one in judged if one.model == model]))


def lead(table: Table, judged: Sequence[Judged], rival: str, metric: str) -> Interval:
    """How far the network is ahead of a model in a figure, the mean over folds; drawn by the event type's first entity.

    Where each event is about an entity of its own, these are the rows.
    """
    theirs = {one.fold.name: one.risks for one in judged if one.model == rival}
    pairs = [
        Pair(table.labels[one.fold.test], one.risks, theirs[one.fold.name], table.cards[one.fold.test])
        for one in judged
        if one.model == OURS
    ]
    return difference(pairs, FIGURES[metric])


def leads(table: Table, judged: Sequence[Judged], metric: str) -> dict[str, Interval]:
    """How far the network is ahead of each other model."""
    return {rival: lead(table, judged, rival, metric) for rival in models(judged) if rival != OURS}


def in_words(table: Table, found: dict[str, Interval], metric: str) -> Iterator[str]:
    """How far the network is ahead, for people."""
    for rival, interval in found.items():
        yield (
            f"{OURS} − {rival}: {TITLES[metric]} {interval.estimate:+.4f} "
            f"[{interval.low:+.4f}, {interval.high:+.4f}], 95 % of a paired bootstrap by {table.event_type.entities[0]}"
        )
