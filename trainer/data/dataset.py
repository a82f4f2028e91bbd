"""From the archive to labelled rows: cleaned, as features by the worker's own functions, split.

Nothing is deleted but exact repeats of an event: outliers are often the frauds, and are clipped
by the scaler instead. Rows lie on disk, so that an archive may be larger than memory.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from sklearn.model_selection import train_test_split

from streamscore.archive.read import EVERY, Archive, Rows, columns
from streamscore.archive.schemas import schemas
from streamscore.core.events.event_type import EventType
from streamscore.core.history.entity_history import EntityHistory
from streamscore.errors import DataError
from streamscore.files.as_of import OnProgress
from trainer.data.ordered import ANSWER, Chunk, ReadCounts, ordered
from trainer.data.row_store import RowWriter, StoredEvents
from trainer.settings import TrainingSettings

# Fewer positives than this in a part cannot choose an epoch or judge a model.
LEAST_POSITIVES = 10
# Events between two lines of progress while reading.
PROGRESS_EVERY = 1 << 20
SECOND = 1_000_000  # µs
DAY = 86_400 * SECOND
# Share of the whole time. Labels of credit take a year to mature, and most archives have fewer than ten years.
LONGEST_GAP = 0.1


@dataclass(frozen=True)
class Dataset:
    """Labelled events in time order: float32 (rows, features), bool (rows,), int64 (rows,) µs since 1970, as archived.

    `cleaned` counts the events that were left out, `versions` names the version of each table that was read.
    """

    matrix: np.ndarray
    labels: np.ndarray
    times: np.ndarray
    events: StoredEvents
    cleaned: dict[str, Any]
    versions: dict[str, int]


class Which(NamedTuple):
    """The rows to read, and the length of the training window before the newest mature event."""

    rows: Rows = EVERY
    window: timedelta | None = None

    @classmethod
    def of(cls, rows: Rows, settings: TrainingSettings) -> "Which":
        """Rows of the days that the settings name."""
        return cls(rows, timedelta(settings.window_days) if settings.window_days else None)


ALL = Which()


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts, and a sentence on how they were split."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    description: str


def read(
    url: str, event_type: EventType, folder: Path, on_progress: OnProgress = lambda _: None, which: Which = ALL
) -> Dataset:
    """The labelled events of an archive, each as of its own time; `folder` holds what does not fit into memory.

    Only events as old as `maturity` are used, labelled or not: bad news comes first, so the labels of young events
    are nearly all positive. Younger ones, and those without an answer, are known to later ones all the same.
    DataError when files or columns are missing, or nothing is left.
    """
    archive, counts = Archive(url, event_type), ReadCounts()
    chunks = ordered(archive, event_type, which.rows, folder, counts)
    with RowWriter(folder, _schema(event_type), len(event_type.features.features)) as writing:
        found = [
            _kept(event_type, kept, writing) for kept in _mature(event_type, chunks, counts, which.window, on_progress)
        ]
    events, matrix = writing.read()
    if not counts.events and which.rows.since:
        raise DataError(f"{url} holds no event since {which.rows.since:%Y-%m-%d}: window_days is counted from today")
    if not counts.labels:
        raise DataError(f"{url}/labels holds no label")
    if not len(events):
        raise DataError(f"{url}: no event has a label that is {event_type.maturity.days} days old")
    missing = sum((part.missing for part in found), np.zeros(matrix.shape[1], np.int64))
    cleaned = {
        "events": counts.events,
        "repeated_events": counts.repeated,
        "without_a_mature_label": counts.events - counts.repeated - len(events),
        "missing_values": {n: int(c) for n, c in zip(event_type.features.names, missing, strict=True) if c},
    }
    labels, times = (np.concatenate([part[column] for part in found]) for column in (0, 1))
    return Dataset(matrix, labels, times, events, cleaned, archive.versions)


class _Part(NamedTuple):
    """The part of some rows that stays in memory: labels, times, and the count of missing values per feature."""

    labels: np.ndarray
    times: np.ndarray
    missing: np.ndarray


class _AsOf(NamedTuple):
    """Events that are old enough, with their times and features; `answer` is among their columns."""

    events: pa.Table
    times: np.ndarray
    matrix: np.ndarray


def _mature(
    event_type: EventType,
    chunks: Iterable[Chunk],
    counts: ReadCounts,
    window: timedelta | None,
    on_progress: OnProgress,
) -> Iterator[_AsOf]:
    """Every event of the window as of its own time, until those begin that are too young to be answered."""
    history, seen, maturity = EntityHistory(event_type), 0, event_type.maturity // timedelta(microseconds=1)
    for chunk in chunks:
        for labels in chunk.labels:
            history.fold_labels(labels)
        found = columns(event_type, chunk.events)
        newest = counts.known_until - maturity
        old = found["occurred_at"] <= newest
        if not old.any():
            return
        if window:
            old &= found["occurred_at"] > newest - window // timedelta(microseconds=1)
        matrix = event_type.features.matrix(history.following(found), len(old))
        yield _AsOf(chunk.events.filter(old), found["occurred_at"][old], matrix[old])
        seen += len(old)
        if seen // PROGRESS_EVERY > (seen - len(old)) // PROGRESS_EVERY:
            on_progress(f"{seen:,} of {counts.events:,} events read")


def _kept(event_type: EventType, mature: _AsOf, writing: RowWriter) -> _Part:
    """Write the rows that are trained on."""
    answer = mature.events[ANSWER]
    keep = answer.is_valid().to_numpy() if event_type.unlabelled == "drop" else np.ones(len(mature.times), bool)
    matrix = mature.matrix[keep]
    writing.add(mature.events.drop_columns([ANSWER]).filter(keep), matrix)
    return _Part(answer.fill_null(False).to_numpy()[keep], mature.times[keep], np.isnan(matrix).sum(axis=0))


def _schema(event_type: EventType) -> pa.Schema:
    whole = schemas(event_type).events
    return pa.schema([whole.field(field.name) for field in event_type.fields])


def split(dataset: Dataset, event_type: EventType, settings: TrainingSettings) -> Split:
    """Set validation and test apart; DataError when a part has too few positives."""
    parts = _by_time(dataset, event_type, settings) if settings.split == "time" else _stratified(dataset, settings)
    for name in ("train", "validation", "test"):
        positives = int(dataset.labels[getattr(parts, name)].sum())
        rows = len(getattr(parts, name))
        if positives < LEAST_POSITIVES or rows - positives < LEAST_POSITIVES:
            raise DataError(
                f"the {name} part has {positives} positives in {rows} events; both kinds need {LEAST_POSITIVES} "
                f"({parts.description}). "
                "It takes more events, larger shares of validation and test, or a smaller gap_days"
            )
    return parts


def _by_time(dataset: Dataset, event_type: EventType, settings: TrainingSettings) -> Split:
    """Oldest to train, then validation, newest to test; cut between distinct times.

    Between two parts lies the time that answers take: what was not answered yet when the later part began would
    not have been there to learn from. Unless it is set, that is at most a tenth of the whole time.
    """
    times, shares = dataset.times, (1 - settings.validation_share - settings.test_share, 1 - settings.test_share)
    whole, days = (times[-1] - times[0]) / DAY, days_apart(times, event_type, settings)
    starts = [int(np.searchsorted(times, times[int(len(times) * share)])) for share in shares]
    ends = [int(np.searchsorted(times, times[start] - int(days * DAY))) for start in starts]
    if not 0 < starts[0] < starts[1]:
        raise DataError("the events do not spread over time; set split: stratified")
    if not ends[0] or ends[1] <= starts[0]:
        problem = f"the events span {whole:.1f} days, too few for parts {_days(days)} apart"
        raise DataError(f"{problem}; set gap_days smaller, or the shares of validation and test larger")
    rows = np.arange(len(times))
    validation, test = (f"{at(times[start]):%Y-%m-%d %H:%M} UTC" for start in starts)
    description = f"by time: validation from {validation}, test from {test}, {_days(days)} apart"
    return Split(rows[: ends[0]], rows[starts[0] : ends[1]], rows[starts[1] :], description)


def _days(count: float) -> str:
    return "1 day" if count == 1 else f"{count:g} days"


def days_apart(times: np.ndarray, event_type: EventType, settings: TrainingSettings) -> float:
    """The days between two parts of rows that span these times, int64 (rows,) µs in order."""
    if settings.gap_days is not None:
        return settings.gap_days
    return min(event_type.maturity / timedelta(days=1), round(LONGEST_GAP * (times[-1] - times[0]) / DAY, 1))


def _stratified(dataset: Dataset, settings: TrainingSettings) -> Split:
    rows, labels = np.arange(len(dataset.labels)), dataset.labels
    try:
        rest, test = train_test_split(rows, test_size=settings.test_share, stratify=labels, random_state=settings.seed)
        share = settings.validation_share / (1 - settings.test_share)
        train, validation = train_test_split(rest, test_size=share, stratify=labels[rest], random_state=settings.seed)
    except ValueError as error:
        raise DataError(f"the events cannot be split by label: {error}") from None
    description = f"stratified by label, seed {settings.seed}: for data without time, says nothing of the future"
    return Split(np.sort(train), np.sort(validation), np.sort(test), description)


def wire_events(event_type: EventType, events: pa.Table) -> list[bytes]:
    """Archived events as the JSON they came from, for golden rows."""
    return [msgspec.json.encode(event_type.struct(**row)) for row in events.to_pylist()]


def at(time: int) -> datetime:
    """A time in µs since 1970."""
    return datetime.fromtimestamp(int(time) / SECOND, UTC)
