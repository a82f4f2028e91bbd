"""A backtest: models learn on some rows of a file and are judged on others, all of them on the same.

file → a table per event type → folds → each model's risks and figures
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from streamscore.archive.importing import import_file
from streamscore.core.events.event_type import EventType
from streamscore.errors import DataError
from streamscore.files.as_of import OnProgress
from trainer.backtest.models import HANDBOOK, K_FOLD, Model, fold_data
from trainer.data import dataset
from trainer.evaluation import folds
from trainer.evaluation.folds import Fold
from trainer.settings import TrainingSettings

Figures = dict[str, float]
RANKING = {"auc": roc_auc_score, "average_precision": average_precision_score}


class Table(NamedTuple):
    """A file's labelled events with the features of an event type, in time order.

    float32 (rows, features), bool (rows,), int64 (rows,) µs since 1970, and each event's id and first entity.
    """

    event_type: EventType
    matrix: np.ndarray
    labels: np.ndarray
    times: np.ndarray
    ids: np.ndarray
    cards: np.ndarray


class Judged(NamedTuple):
    """What one model gave to the test rows of one fold, and how good that is."""

    fold: Fold
    model: str
    risks: np.ndarray
    figures: Figures


def tables(
    events: Path, event_types: Sequence[EventType], occurred_at: datetime | None, on_progress: OnProgress
) -> list[Table]:
    """A file as a table for each event type, whose structs are the same; history knows labels once they are mature.

    DataError when the file cannot be read, has no labels, or lacks a column.
    """
    first = event_types[0]
    with tempfile.TemporaryDirectory() as folder:
        found = import_file(events, Path(folder), first, first.maturity, occurred_at)
        on_progress(f"{events.name}: {found.events:,} events, {found.refused:,} rows refused")
        return [_table(folder, kind, on_progress) for kind in event_types]


def _table(archive: str, event_type: EventType, on_progress: OnProgress) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        data = dataset.read(archive, event_type, Path(folder), on_progress)
        rows = data.events.take(np.arange(len(data.labels)), ["event_id", event_type.entities[0]])
        ids, cards = (rows[name].to_numpy() for name in ("event_id", event_type.entities[0]))
        return Table(event_type, np.array(data.matrix), data.labels, data.times, ids, cards)


def handbook(
    table: Table, first_training_days: Sequence[date], settings: TrainingSettings, on_progress: OnProgress
) -> list[Judged]:
    """The Handbook's protocol; the first entity of the table's event type is the card."""
    events, folds = stream(table), handbook_folds(table, first_training_days)
    return [_with_cards(events, judged) for judged in _judged(table, folds, HANDBOOK, settings, on_progress)]


def k_fold(table: Table, count: int, settings: TrainingSettings, on_progress: OnProgress) -> list[Judged]:
    """Stratified folds, for a table without time; every row is judged once by each model."""
    parts = list(folds.k_folds(table.labels, count, settings.seed))
    return list(_judged(table, parts, K_FOLD, settings, on_progress))


def handbook_folds(table: Table, first_training_days: Sequence[date]) -> list[Fold]:
    """The Handbook's folds of a table."""
    events = stream(table)
    return [folds.handbook(events, day) for day in first_training_days]


def stream(table: Table) -> folds.Stream:
    """A table as the Handbook's protocol sees it."""
    return folds.stream(table.times, table.cards, table.labels)


def _judged(
    table: Table,
    folds: Sequence[Fold],
    models: Mapping[str, Model],
    settings: TrainingSettings,
    on_progress: OnProgress,
) -> Iterator[Judged]:
    matrix, labels = table.matrix, table.labels
    for fold in folds:
        for part, rows in (("training", fold.train), ("test", fold.test)):
            if len(np.unique(labels[rows])) < 2:
                raise DataError(f"the {part} part of fold {fold.name} has events of one kind only")
        fold_input = fold_data(table.event_type, (matrix[fold.train], labels[fold.train]), matrix[fold.test], settings)
        for name, model in models.items():
            started = time.monotonic()
            risks = model(fold_input)
            figures = {metric: float(of(labels[fold.test], risks)) for metric, of in RANKING.items()}
            on_progress(f"  {fold.name} {name}: AUC {figures['auc']:.4f}, {time.monotonic() - started:.0f} s")
            yield Judged(fold, name, risks, figures)


def _with_cards(events: folds.Stream, judged: Judged) -> Judged:
    tested = folds.Stream(*(column[judged.fold.test] for column in events))
    precision = folds.card_precision(tested, judged.risks)
    return judged._replace(figures={**judged.figures, "card_precision_100": precision})
