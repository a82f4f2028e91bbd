"""From the archive to labelled rows: cleaned, as features by the worker's own functions, split.

Nothing is deleted but exact repeats of an event: outliers are often the frauds, and are clipped
by the scaler instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.model_selection import train_test_split

from streamscore.archive import schemas
from streamscore.archive_columns import table
from streamscore.core.aggregate import raw
from streamscore.core.event import Columns, column, raw_column
from streamscore.core.event_type import EventType
from streamscore.core.history import EntityHistory
from streamscore.errors import DataError
from streamscore.files import value_types
from trainer.settings import TrainingSettings

# Fewer positives than this in a part cannot choose an epoch or judge a model.
LEAST_POSITIVES = 10
# Events folded and asked at a time, and after how many of them that is told.
CHUNK, TOLD_EVERY = 1 << 16, 1 << 20


@dataclass(frozen=True)
class Dataset:
    """Labelled events in time order: raw rows, float32 (rows, features), bool (rows,), and what was cleaned."""

    events: pd.DataFrame
    matrix: np.ndarray
    labels: np.ndarray
    cleaned: dict[str, Any]


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts, and how they were set apart, in words."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    how: str


def read(archive: Path, event_type: EventType, told: Callable[[str], None] = lambda _: None) -> Dataset:
    """The archive's labelled events. DataError when files or columns are missing, or nothing is left."""
    schema = schemas(event_type)
    fields = [field.name for field in event_type.fields]
    events = _frame(table(archive / "events", schema.events, fields, ["event_id", "occurred_at"]))
    labels = _frame(table(archive / "labels", schema.labels, ["event_id", "label", "labelled_at"], ["labelled_at"]))
    rows = len(events)
    events = events.drop_duplicates("event_id", keep="first")
    repeats = rows - len(events)
    events = events.sort_values(["occurred_at", "event_id"], kind="stable", ignore_index=True)
    keep, answer = _labelled(events, labels, event_type)
    if not keep.any():
        raise DataError(f"{archive}: no event has a label that is {event_type.maturity.days} days old")
    if event_type.history:
        matrix = _as_of(event_type, events, labels, told)[keep]
    else:
        matrix = event_type.features.matrix(_columns(event_type, events[keep]), int(keep.sum()))
    events = events[keep].reset_index(drop=True)
    missing = np.isnan(matrix).sum(axis=0)
    cleaned = {
        "events": rows,
        "repeated_events": repeats,
        "without_a_mature_label": rows - repeats - len(events),
        "missing_values": {n: int(c) for n, c in zip(event_type.features.names, missing, strict=True) if c},
    }
    return Dataset(events, matrix, answer[keep], cleaned)


def _frame(found: pa.Table) -> pd.DataFrame:
    return found.to_pandas(types_mapper=None, coerce_temporal_nanoseconds=False)


def _labelled(events: pd.DataFrame, labels: pd.DataFrame, event_type: EventType) -> tuple[np.ndarray, np.ndarray]:
    """Which events' answers are known, and what every event's is: the latest label counts.

    Only events as old as `maturity` are used, labelled or not: bad news comes first, so the labels
    of young events are nearly all positive.
    """
    latest = labels.sort_values("labelled_at", kind="stable").drop_duplicates("event_id", keep="last")
    answer = events["event_id"].map(latest.set_index("event_id")["label"])
    last_known = max([events["occurred_at"].max(), *latest["labelled_at"].tail(1)])
    keep = events["occurred_at"] <= last_known - event_type.maturity
    if event_type.unlabelled == "drop":
        keep &= answer.notna()
    return keep.to_numpy(bool), answer.eq(True).to_numpy(bool)


def _as_of(
    event_type: EventType, events: pd.DataFrame, labels: pd.DataFrame, told: Callable[[str], None]
) -> np.ndarray:
    """float32 (rows, features) of events in their order, each as of its own time; the history keeps its horizon only.

    All events are folded, also those that are not trained on: the worker knew them too.
    """
    history = EntityHistory(event_type)
    matrix = np.empty((len(events), len(event_type.features.features)), np.float32)
    echoed = list(dict.fromkeys(("event_id", "occurred_at", *event_type.entities)))
    known = labels[["event_id", "label", "labelled_at"]].merge(events[echoed], on="event_id")
    known = known[known["label"].notna()].sort_values("labelled_at", kind="stable")
    told_until = 0
    for start in range(0, len(events), CHUNK):
        part = events.iloc[start : start + CHUNK]
        until = int(known["labelled_at"].searchsorted(part["occurred_at"].iloc[-1], side="right"))
        history.fold_labels(_label_columns(event_type, known.iloc[told_until:until]))
        told_until = until
        columns = history.following(_columns(event_type, part))
        matrix[start : start + len(part)] = event_type.features.matrix(columns, len(part))
        if start % TOLD_EVERY == 0 and start:
            told(f"history of {start:,} of {len(events):,} events")
    return matrix


def _label_columns(event_type: EventType, labels: pd.DataFrame) -> Columns:
    raws = {raw(f.name): raw_column(f, labels[f.name].tolist()) for f in event_type.identified if f.name in labels}
    times = {name: _micros(labels[name]) for name in ("occurred_at", "labelled_at")}
    return {**raws, **times, "label": labels["label"].to_numpy(bool)}


def _micros(times: "pd.Series[Any]") -> np.ndarray:
    return times.astype("datetime64[us, UTC]").astype("int64").to_numpy()


def _columns(event_type: EventType, events: pd.DataFrame) -> Columns:
    """The archive's columns as the features expect them; times are int64 µs already."""
    columns: dict[str, Any] = {}
    for field in event_type.fields:
        values = events[field.name]
        if field.kind == "time":
            columns[field.name] = _micros(values)
        elif field.kind == "number":
            columns[field.name] = values.to_numpy(np.float64, na_value=np.nan)
        else:
            columns[field.name] = column(field, values.tolist())
    return columns | {
        raw(field.name): raw_column(field, events[field.name].tolist()) for field in event_type.identified
    }


def split(dataset: Dataset, settings: TrainingSettings) -> Split:
    """Set validation and test apart; DataError when a part has too few positives."""
    parts = _by_time(dataset, settings) if settings.split == "time" else _stratified(dataset, settings)
    for name in ("train", "validation", "test"):
        positives = int(dataset.labels[getattr(parts, name)].sum())
        rows = len(getattr(parts, name))
        if positives < LEAST_POSITIVES or rows - positives < LEAST_POSITIVES:
            raise DataError(
                f"the {name} part has {positives} positives in {rows} events; both kinds need {LEAST_POSITIVES}"
            )
    return parts


def _by_time(dataset: Dataset, settings: TrainingSettings) -> Split:
    """Oldest to train, then validation, newest to test; cut between distinct times."""
    times = dataset.events["occurred_at"].to_numpy()
    rows = np.arange(len(times))
    first_validation, first_test = (
        int(np.searchsorted(times, times[int(len(times) * share)]))
        for share in (1 - settings.validation_share - settings.test_share, 1 - settings.test_share)
    )
    if not 0 < first_validation < first_test:
        raise DataError("the events do not spread over time; set split: stratified")
    how = f"by time: validation from {times[first_validation]}, test from {times[first_test]}"
    return Split(rows[:first_validation], rows[first_validation:first_test], rows[first_test:], how)


def _stratified(dataset: Dataset, settings: TrainingSettings) -> Split:
    rows, labels = np.arange(len(dataset.labels)), dataset.labels
    try:
        rest, test = train_test_split(rows, test_size=settings.test_share, stratify=labels, random_state=settings.seed)
        share = settings.validation_share / (1 - settings.test_share)
        train, validation = train_test_split(rest, test_size=share, stratify=labels[rest], random_state=settings.seed)
    except ValueError as error:
        raise DataError(f"the events cannot be split by label: {error}") from None
    how = f"stratified by label, seed {settings.seed}: for data without time, says nothing of the future"
    return Split(np.sort(train), np.sort(validation), np.sort(test), how)


def wire_events(event_type: EventType, events: pd.DataFrame) -> list[bytes]:
    """Archived events as the JSON they came from, for golden rows."""
    kinds = value_types(event_type)
    return [
        msgspec.json.encode(event_type.struct(**{str(n): _plain(v, kinds[str(n)]) for n, v in row.items()}))
        for row in events[list(kinds)].to_dict("records")
    ]


def _plain(value: Any, kind: type) -> Any:
    """A cell as the field's own type: pandas keeps integers with gaps as floats, and has missing values of its own."""
    if value is None or value is pd.NaT or value != value:  # noqa: PLR0124  NaN alone differs from itself
        return None
    return value.to_pydatetime(warn=False) if kind is datetime else kind(value)


def period(events: pd.DataFrame) -> tuple[datetime, datetime]:
    """The first and the last time an event occurred."""
    first, last = events["occurred_at"].min(), events["occurred_at"].max()
    return first.to_pydatetime(warn=False), last.to_pydatetime(warn=False)
