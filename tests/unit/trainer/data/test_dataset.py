"""From an archive to labelled rows: repeats, corrected and immature labels, and the three parts."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.event_type import EventType
from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import DataError
from tests.support.samples import CREDIT, PAYMENT, decoded
from tests.support.trained import write_table
from trainer.data.dataset import ALL, Dataset, Which, at, read, split, wire_events
from trainer.settings import TrainingSettings

DAY0 = datetime(2025, 1, 1, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")
EXAMPLE: dict[str, dict[str, Any]] = {"transaction": PAYMENT, "application": CREDIT}

Labels = Sequence[tuple[str, bool, float]]


def archive(folder: Path, event_type: EventType, events: Mapping[str, float], labels: Labels, **changes: Any) -> Path:
    """An archive of events, given as the day each occurred, and labels, given as (event, answer, day it came).

    Labels of events of an earlier call are of day 1.
    """
    rows = [
        EXAMPLE[event_type.name] | changes | {"event_id": name, "occurred_at": DAY0 + timedelta(days=day)}
        for name, day in events.items()
    ]
    columns: dict[str, Any] = {f.name: pa.array([row.get(f.name) for row in rows]) for f in event_type.fields}
    write_table(folder / "events", columns | {"occurred_at": columns["occurred_at"].cast(TIME)})
    known = [DAY0 + timedelta(days=day) for _, _, day in labels]
    told = {"event_id": [name for name, *_ in labels], "label": [answer for _, answer, _ in labels]}
    told["occurred_at"] = pa.array([DAY0 + timedelta(days=events.get(name, 1)) for name, *_ in labels], TIME)
    told |= {name: [EXAMPLE[event_type.name][name]] * len(labels) for name in event_type.entities}
    write_table(folder / "labels", told | {"labelled_at": pa.array(known, TIME)})
    return folder


def read_from(folder: Path, event_type: EventType = TRANSACTION, which: Which = ALL) -> Dataset:
    """The dataset of an archive folder; what does not fit into memory lies beside it."""
    work = folder / f"work-{len(list(folder.glob('work-*')))}"
    work.mkdir()
    return read(str(folder), event_type, work, which=which)


def ids(data: Dataset) -> list[str]:
    return data.events.take(np.arange(len(data.labels)), ["event_id"])["event_id"].to_pylist()


def answers(data: Dataset) -> dict[str, bool]:
    return dict(zip(ids(data), data.labels.tolist(), strict=True))


def test_repeats_are_dropped_and_counted(tmp_path: Path) -> None:
    """An event that stands twice, in one file or two, is used once, and the repeats are counted."""
    archive(tmp_path, TRANSACTION, {"a": 0, "b": 1}, [("a", True, 3)])
    archive(tmp_path, TRANSACTION, {"b": 1, "c": 2, "a": 0}, [("z", False, 60)])
    data = read_from(tmp_path, TRANSACTION)
    assert answers(data) == {"a": True, "b": False, "c": False}
    assert (data.cleaned["events"], data.cleaned["repeated_events"]) == (5, 2)


def test_the_latest_label_counts(tmp_path: Path) -> None:
    """A label that was corrected later counts as corrected, in whichever file or order it stands."""
    archive(tmp_path, TRANSACTION, {"a": 0, "b": 1}, [("a", False, 20), ("b", True, 5), ("a", True, 3)])
    archive(tmp_path, TRANSACTION, {"c": 60}, [("b", False, 10)])
    assert answers(read_from(tmp_path, TRANSACTION)) == {"a": False, "b": False}


def test_silence_means_negative_when_mature(tmp_path: Path) -> None:
    """An old transaction without a label is a negative; one younger than a week is left out, labelled or not."""
    archive(tmp_path, TRANSACTION, {"old": 0, "edge": 23, "young": 24, "last": 30}, [("young", True, 25)])
    data = read_from(tmp_path, TRANSACTION)
    assert answers(data) == {"old": False, "edge": False}
    assert data.cleaned["without_a_mature_label"] == 2


def test_a_window_leaves_old_events_out(tmp_path: Path) -> None:
    """Only the newest mature events are learnt from: of ten days before those that are a week old."""
    archive(tmp_path, TRANSACTION, {f"{day}": day for day in range(40)}, [("3", True, 5), ("30", True, 39)])
    data = read_from(tmp_path, which=Which(window=timedelta(days=10)))
    assert ids(data) == [str(day) for day in range(23, 33)]


def test_silence_means_nothing_for_credit(tmp_path: Path) -> None:
    """An application without a label is left out, and so is one that is younger than its maturity."""
    mature = APPLICATION.maturity.days
    events = {"silent": 0, "repaid": 1, "default": 2, "young": 10}
    labels = [("repaid", False, 5), ("default", True, 4), ("young", True, mature + 5)]
    data = read_from(archive(tmp_path, APPLICATION, events, labels), APPLICATION)
    assert answers(data) == {"repaid": False, "default": True}
    assert data.cleaned["without_a_mature_label"] == 2


def test_rows_are_in_time_order(tmp_path: Path) -> None:
    """Rows come oldest first, equal times by id, with the features that live events have."""
    archive(tmp_path, TRANSACTION, {"c": 5, "b": 2, "a": 2, "last": 30}, [("b", True, 3)], amount=77.0)
    data = read_from(tmp_path, TRANSACTION)
    assert list(answers(data)) == ["a", "b", "c"]
    assert data.matrix[:, 0].tolist() == [77, 77, 77]
    assert data.matrix.dtype == np.float32


def test_missing_values_are_counted(tmp_path: Path) -> None:
    """Missing values are counted per feature, and none is left out for them."""
    labels = [("a", True, 400), ("b", False, 800)]
    data = read_from(archive(tmp_path, APPLICATION, {"a": 0, "b": 1}, labels, income=None), APPLICATION)
    assert data.cleaned["missing_values"]["income"] == 2
    assert len(data.labels) == 2


@pytest.mark.parametrize("kind", ["events", "labels"])
def test_missing_files(tmp_path: Path, kind: str) -> None:
    """A folder without files is told by its name."""
    archive(tmp_path, TRANSACTION, {"a": 0, "b": 30}, [("a", True, 3)])
    (tmp_path / kind / "0.parquet").unlink()
    with pytest.raises(DataError, match=f"{kind} holds (neither a Delta table nor .parquet files|no label)"):
        read_from(tmp_path, TRANSACTION)


def test_missing_columns_and_damaged_files(tmp_path: Path) -> None:
    """A file that lacks a column, or is no parquet, is an error of the data."""
    write_table(tmp_path / "a" / "events", {"event_id": ["x"]})
    with pytest.raises(DataError, match="events"):
        read_from(tmp_path / "a", TRANSACTION)
    archive(tmp_path / "b", TRANSACTION, {"a": 0}, [("a", True, 3)])
    (tmp_path / "b" / "events" / "0.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match="events"):
        read_from(tmp_path / "b", TRANSACTION)


def retyped(folder: Path, kind: str, name: str, column: pa.Array) -> Path:
    """An archive of three payments in which a column of one kind of file holds something else."""
    archive(folder, TRANSACTION, {"1": 0, "2": 1, "3": 40}, [("1", True, 3), ("2", False, 3), ("3", False, 41)])
    path = folder / kind / "0.parquet"
    found = pq.read_table(path)
    pq.write_table(found.set_column(found.column_names.index(name), name, column), path)
    return folder


def test_a_damaged_body(tmp_path: Path) -> None:
    """A file whose pages are damaged is an error of the data that names the file."""
    path = retyped(tmp_path, "events", "amount", pa.array([1.0, 2.0, 3.0])) / "events" / "0.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * (len(content) // 3) + content[4 + len(content) // 3 :])
    with pytest.raises(DataError, match=r"0\.parquet is not parquet, or damaged"):
        read_from(tmp_path, TRANSACTION)


DAYS = [datetime(2025, 1, 1), datetime(2025, 1, 2), datetime(2025, 2, 10)]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("kind", "name", "column"),
    [("events", "occurred_at", pa.array(DAYS)), ("events", "occurred_at", pa.array(DAYS, pa.timestamp("ns"))),
     ("events", "occurred_at", pa.array([day.date() for day in DAYS])),
     ("events", "occurred_at", pa.array([f"{day}" for day in DAYS])),
     ("events", "occurred_at", pa.array([f"{day.isoformat()}Z" for day in DAYS])),
     ("labels", "labelled_at", pa.array(DAYS)), ("labels", "labelled_at", pa.array([f"{day}" for day in DAYS])),
     ("labels", "label", pa.array([1.0, 0.0, float("nan")])), ("labels", "label", pa.array([1, 0, 0])),
     ("labels", "label", pa.array(["true", "false", None])), ("labels", "event_id", pa.array([1, 2, 3])),
     ("events", "amount", pa.array(["42.5", "42.5", None])), ("events", "recurring", pa.array([0, 1, None])),
     ("events", "event_id", pa.array(["1", "2", "3"]).dictionary_encode()),
     ("events", "event_id", pa.array([1, 2, 3]))],
    ids=lambda value: str(getattr(value, "type", value)),
)  # fmt: skip
def test_columns_of_another_type(tmp_path: Path, kind: str, name: str, column: pa.Array) -> None:
    """Whatever type holds a column's values, they are read as what they are: naive times as UTC, dates as midnight."""
    data = read_from(retyped(tmp_path, kind, name, column), TRANSACTION)
    assert answers(data) == {"1": True, "2": False}
    assert [at(time).replace(tzinfo=None) for time in data.times] == DAYS[:2]


@pytest.mark.parametrize(
    ("kind", "name", "column"),
    [("events", "occurred_at", pa.array([1_735_689_600] * 3)), ("events", "occurred_at", pa.array(["x4111"] * 3)),
     ("events", "occurred_at", pa.array([2**60] * 3).cast(pa.timestamp("ms"))),
     ("events", "occurred_at", pa.array([2**60] * 3).cast(pa.timestamp("us"))),
     ("events", "occurred_at", pa.array([2**31 - 1] * 3, pa.int32()).cast(pa.date32())),
     ("events", "occurred_at", pa.array([DAYS[0], DAYS[1], None])), ("labels", "labelled_at", pa.array([None] * 3)),
     ("labels", "labelled_at", pa.array(["x4111"] * 3)), ("labels", "labelled_at", pa.array([1] * 3)),
     ("labels", "label", pa.array([1, 0, 4111])), ("labels", "label", pa.array(["x4111"] * 3)),
     ("events", "amount", pa.array(["x4111"] * 3)), ("events", "recurring", pa.array(["x4111"] * 3)),
     ("events", "event_id", pa.array([["4111"]] * 3)), ("events", "event_id", pa.array([{"a": "4111"}] * 3)),
     ("labels", "event_id", pa.array([["4111"]] * 3)), ("events", "customer_id", pa.array([{"a": "4111"}] * 3))],
    ids=lambda value: str(getattr(value, "type", value)),
)  # fmt: skip
def test_columns_that_are_something_else(tmp_path: Path, kind: str, name: str, column: pa.Array) -> None:
    """A column that cannot be what the archive says it is ends the run by its name, and is not quoted."""
    with pytest.raises(DataError, match=rf"{kind}.*: {name} is ") as caught:
        read_from(retyped(tmp_path, kind, name, column), TRANSACTION)
    assert "4111" not in str(caught.value).replace(str(tmp_path), "")


def test_files_of_different_types(tmp_path: Path) -> None:
    """Each file of a folder is read by its own types."""
    retyped(tmp_path, "events", "occurred_at", pa.array(DAYS))
    archive(tmp_path, TRANSACTION, {"4": 2}, [("4", True, 3)])
    assert answers(read_from(tmp_path, TRANSACTION)) == {"1": True, "2": False, "4": True}


def test_nothing_mature(tmp_path: Path) -> None:
    """An archive in which no answer is in yet is refused."""
    with pytest.raises(DataError, match="no event has a label"):
        read_from(archive(tmp_path, TRANSACTION, {"a": 0}, [("a", True, 1)]), TRANSACTION)


def days(*times: int, positive: int = 2) -> Dataset:
    """A dataset with twenty events at each given day; every `positive`-th is one."""
    moments = [DAY0 + timedelta(days=day) for day in sorted(times) for _ in range(20)]
    found = np.array([int(moment.timestamp()) * 1_000_000 for moment in moments])
    labels = np.arange(len(found)) % positive == 0
    no_events: Any = None
    return Dataset(np.zeros((len(found), 1), np.float32), labels, found, no_events, {}, {})


def test_time_split_is_cut_between_distinct_times() -> None:
    """The parts follow each other in time, and no moment is in two of them."""
    data = days(*range(13))
    parts = split(data, TRANSACTION, TrainingSettings(validation_share=0.23, test_share=0.17, gap_days=0))
    assert data.times[parts.train].max() < data.times[parts.validation].min()
    assert data.times[parts.validation].max() < data.times[parts.test].min()
    assert sorted([*parts.train, *parts.validation, *parts.test]) == list(range(len(data.times)))
    assert f"validation from {at(data.times[parts.validation].min()):%Y-%m-%d %H:%M} UTC" in parts.description
    assert f"test from {at(data.times[parts.test].min()):%Y-%m-%d %H:%M} UTC" in parts.description


def test_parts_are_as_far_apart_as_answers_take() -> None:
    """What was not answered when the next part began is in none before it: a tenth of all time, or what is set."""
    data = days(*range(60))
    for settings, gap in ((TrainingSettings(), 5.9), (TrainingSettings(gap_days=2.5), 2.5)):
        parts = split(data, TRANSACTION, settings)
        for before, after in ((parts.train, parts.validation), (parts.validation, parts.test)):
            apart = (data.times[after].min() - data.times[before].max()) / 86_400e6
            assert gap < apart <= gap + 1
        assert f"{gap:g} days apart" in parts.description
    with pytest.raises(DataError, match="set gap_days"):
        split(days(*range(13)), TRANSACTION, TrainingSettings(gap_days=7))
    assert "7 days apart" in split(days(*range(100)), TRANSACTION, TrainingSettings()).description


def test_time_split_needs_time() -> None:
    """Events of one moment cannot be split by time, and the error says what to do."""
    with pytest.raises(DataError, match="set split: stratified"):
        split(days(0, 0, 0, 0), TRANSACTION, TrainingSettings())


def test_stratified_split_is_said() -> None:
    """A stratified split keeps the share of positives in each part, repeats with its seed, and is told as such."""
    data, settings = days(0, 0, 0, 0, 0, 0, 0, 0, positive=4), TrainingSettings(split="stratified", test_share=0.3)
    settings = settings.model_copy(update={"validation_share": 0.3, "seed": 9})
    parts, again = split(data, TRANSACTION, settings), split(data, TRANSACTION, settings)
    assert "stratified by label, seed 9" in parts.description
    assert "says nothing of the future" in parts.description
    for part in (parts.train, parts.validation, parts.test):
        assert data.labels[part].mean() == pytest.approx(0.25, abs=0.02)
    assert np.array_equal(parts.test, again.test)
    assert sorted([*parts.train, *parts.validation, *parts.test]) == list(range(len(data.labels)))


def test_wire_events_are_what_came_in(tmp_path: Path) -> None:
    """Archived transactions become JSON that decodes to the same event again."""
    data = read_from(archive(tmp_path, TRANSACTION, {"a": 0.25, "z": 30}, [("a", True, 3)]), TRANSACTION)
    entry = decoded(TRANSACTION, wire_events(TRANSACTION, data.events.take(np.array([0])))[0])
    assert entry.event is not None
    assert (entry.event.event_id, entry.event.occurred_at) == ("a", DAY0 + timedelta(hours=6))
    matrix = TRANSACTION.features.matrix(TRANSACTION.columns([entry.event]), 1)
    assert np.array_equal(matrix, data.matrix[:1])
