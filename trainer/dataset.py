"""From the archive to labelled rows: cleaned, as features by the worker's own functions, split.

Nothing is deleted but exact repeats of an event: outliers are often the frauds, and are clipped
by the scaler instead.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.model_selection import train_test_split

from streamscore.core.event import Columns, column
from streamscore.core.event_type import EventType
from streamscore.errors import DataError
from streamscore.files import value_types
from trainer.settings import TrainingSettings

# Fewer positives than this in a part cannot choose an epoch or judge a model.
LEAST_POSITIVES = 10


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


def read(archive: Path, event_type: EventType) -> Dataset:
    """The archive's labelled events. DataError when files or columns are missing, or nothing is left."""
    events = _table(archive / "events", [field.name for field in event_type.fields])
    labels = _table(archive / "labels", ["event_id", "label", "labelled_at"])
    rows = len(events)
    events = events.drop_duplicates("event_id", keep="first")
    repeats = rows - len(events)
    events, known = _labelled(events, labels, event_type)
    if not len(events):
        raise DataError(f"{archive}: no event has a label that is {event_type.maturity.days} days old")
    events = events.assign(label=known).sort_values(["occurred_at", "event_id"], kind="stable", ignore_index=True)
    matrix = event_type.features.matrix(_columns(event_type, events), len(events))
    missing = np.isnan(matrix).sum(axis=0)
    cleaned = {
        "events": rows,
        "repeated_events": repeats,
        "without_a_mature_label": rows - repeats - len(events),
        "missing_values": {n: int(c) for n, c in zip(event_type.features.names, missing, strict=True) if c},
    }
    return Dataset(events, matrix, events.pop("label").to_numpy(bool), cleaned)


def _table(folder: Path, columns: list[str]) -> pd.DataFrame:
    if not sorted(folder.glob("*.parquet")):
        raise DataError(f"{folder} holds no .parquet files")
    try:
        return pq.read_table(folder, columns=columns).to_pandas(types_mapper=None, coerce_temporal_nanoseconds=False)
    except (pa.ArrowInvalid, pa.ArrowKeyError, KeyError) as error:
        raise DataError(f"{folder}: {str(error).splitlines()[0]}") from None


def _labelled(events: pd.DataFrame, labels: pd.DataFrame, event_type: EventType) -> tuple[pd.DataFrame, np.ndarray]:
    """The events whose answer is known, and the answer: the latest label counts.

    Only events as old as `maturity` are used, labelled or not: bad news comes first, so the labels
    of young events are nearly all positive.
    """
    latest = labels.sort_values("labelled_at", kind="stable").drop_duplicates("event_id", keep="last")
    answer = events["event_id"].map(latest.set_index("event_id")["label"])
    last_known = max([events["occurred_at"].max(), *latest["labelled_at"].tail(1)])
    keep = events["occurred_at"] <= last_known - event_type.maturity
    if event_type.unlabelled == "drop":
        keep &= answer.notna()
    return events[keep], answer[keep].eq(True).to_numpy(bool)


def _columns(event_type: EventType, events: pd.DataFrame) -> Columns:
    """The archive's columns as the features expect them; times are int64 µs already."""
    columns: dict[str, Any] = {}
    for field in event_type.fields:
        values = events[field.name]
        if field.kind == "time":
            columns[field.name] = values.astype("datetime64[us, UTC]").astype("int64").to_numpy()
        elif field.kind == "number":
            columns[field.name] = values.to_numpy(np.float64, na_value=np.nan)
        else:
            columns[field.name] = column(field, values.tolist())
    return columns


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
