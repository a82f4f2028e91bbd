"""The archive: one schema for simulated and imported events, labels when known, whole files or none."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from msgspec import Meta, Struct

from streamscore.archive import importing
from streamscore.archive.importing import Imported, import_file
from streamscore.archive.schemas import schemas
from streamscore.cli.main import cli
from streamscore.core.events.application import APPLICATION
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import DAY, FeatureSet
from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import DataError
from streamscore.files.output import table, whole_file
from streamscore.simulator import streams as simulator
from streamscore.simulator.past import write_simulated
from streamscore.simulator.streams import Simulated

START = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
KAFKA = ["kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp"]
WEEK = timedelta(days=7)


class Numbered(Struct, frozen=True, gc=False):
    """An event whose id is a number."""

    event_id: int
    occurred_at: Annotated[datetime, Meta(tz=True)]


NUMBERED = EventType("numbered", Numbered, ("event_id",), FeatureSet(()), "is_default")


def read(folder: Path, kind: str, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / kind / f"{name}.parquet").to_pylist()
    return rows


def labelled_file(path: Path, event_type: EventType, simulated: Simulated, labels: list[Any]) -> Path:
    """The simulated events as NDJSON with a label each."""
    lines = simulator.json_lines(event_type, simulated)
    rows = [json.loads(line) | {event_type.label: label} for line, label in zip(lines, labels, strict=True)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def microseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def test_schemas() -> None:
    """Field names and their types, behind the Kafka coordinates; labels have the ids of the event."""
    events, labels = schemas(APPLICATION)
    assert events.names == [*KAFKA, *(field.name for field in APPLICATION.fields)]
    assert labels.names == [*KAFKA, "event_id", "occurred_at", "label", "labelled_at", "applicant_id"]
    kinds = {"kafka_partition": pa.int32(), "kafka_timestamp": pa.timestamp("ms", "UTC"), "age": pa.int64()}
    kinds |= {"occurred_at": pa.timestamp("us", "UTC"), "income": pa.float64(), "housing": pa.string()}
    assert {name: events.field(name).type for name in kinds} == kinds
    assert schemas(TRANSACTION).events.field("recurring").type == pa.bool_()


@pytest.mark.parametrize(
    "arguments",
    [["import", "a.csv", "archive", "--event-type", "transaction", "--label-days", days]
     for days in ("inf", "nan", "1e10", "-1")]
    + [["simulate", "--event-type", "transaction", "--archive", "a", "--days", "1000000000"],
       ["simulate", "--event-type", "transaction", "--rate", "nan"], ["demo", "--duration", "inf"]],
    ids=" ".join,
)  # fmt: skip
def test_numbers_beyond_their_bounds(arguments: list[str]) -> None:
    """A number that no calendar holds is an error of usage, also one that is none."""
    done = CliRunner().invoke(cli, arguments)
    assert (done.exit_code, isinstance(done.exception, SystemExit)) == (2, True), done.output
    assert "Invalid value for" in done.output


def test_a_table_refuses_what_does_not_fit() -> None:
    """A value that its column cannot hold is a DataError that does not quote it."""
    schema = pa.schema([("id", pa.int64())])
    assert table(schema, {"id": np.array([1.0, np.nan])}).to_pylist() == [{"id": 1}, {"id": None}]
    for value in (2**64, "4111111111111111x"):
        with pytest.raises(DataError, match="do not fit the columns") as caught:
            table(schema, {"id": [value]})
        assert "4111" not in str(caught.value)


def test_a_simulated_past_ends_before_now(tmp_path: Path) -> None:
    """Whatever chance makes of so many days: an archive refuses events that are ahead of the clock."""
    for seed in ("0", "1", "2"):
        asked = ["simulate", "--event-type", "transaction", "--archive", str(tmp_path / seed), "--rows", "300"]
        assert CliRunner().invoke(cli, [*asked, "--days", "3", "--seed", seed]).exit_code == 0
        events = pq.read_table(tmp_path / seed / "transaction" / "events", columns=["occurred_at"])
        assert pc.max(events["occurred_at"]).as_py() <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("event_type", "simulate"), [(TRANSACTION, simulator.transactions), (APPLICATION, simulator.applications)]
)
def test_simulated_events_are_written_as_they_are(tmp_path: Path, event_type: EventType, simulate: Any) -> None:
    """Every value of every column is in the file, NaN and None as null."""
    simulated: Simulated = simulate(200, START, 0.01, 3)
    write_simulated(tmp_path, event_type, simulated, START + 20 * DAY, "part-0")
    events = pq.read_table(tmp_path / "events" / "part-0.parquet")
    assert events.schema == schemas(event_type).events
    for name, values in simulated.columns.items():
        expected = pd.Series(values, dtype=object).where(pd.notna(values), None).tolist()
        if name == "occurred_at":
            assert events[name].cast(pa.int64()).to_pylist() == expected
        else:
            assert events[name].to_pylist() == expected


def test_only_known_labels_are_written(tmp_path: Path) -> None:
    """A label is there from the moment it became known, with the coordinates of its row."""
    simulated = simulator.transactions(500, START, 0.001, 3)
    known_until = int(np.sort(simulated.labelled_at)[100])
    write_simulated(tmp_path, TRANSACTION, simulated, known_until, "p")
    labels = read(tmp_path, "labels", "p")
    rows = np.flatnonzero(simulated.labelled_at <= known_until)
    assert [label["kafka_offset"] for label in labels] == rows.tolist()
    assert [label["label"] for label in labels] == simulated.label[rows].tolist()
    assert [label["event_id"] for label in labels] == simulated.columns["event_id"][rows].tolist()
    assert [microseconds(label["labelled_at"]) for label in labels] == simulated.labelled_at[rows].tolist()


def test_parts_stand_side_by_side_and_are_replaced(tmp_path: Path) -> None:
    """Another part adds files; the same part again replaces its own, also by fewer labels."""
    simulated = simulator.transactions(50, START, 0.01, 3)
    write_simulated(tmp_path, TRANSACTION, simulated, START + 400 * DAY, "a")
    write_simulated(tmp_path, TRANSACTION, simulated, START, "b")
    assert files_in(tmp_path) == [f"{kind}/{part}.parquet" for kind in ("events", "labels") for part in "ab"]
    assert len(read(tmp_path, "labels", "a")) == 50
    write_simulated(tmp_path, TRANSACTION, simulated, START, "a")
    assert read(tmp_path, "labels", "a") == read(tmp_path, "labels", "b") == []


def test_an_import_equals_what_was_simulated(tmp_path: Path) -> None:
    """Events imported from their JSON have the fields of the simulated ones, and labels after the delay."""
    simulated = simulator.applications(100, START, 0.01, 3)
    path = labelled_file(tmp_path / "asked.ndjson", APPLICATION, simulated, simulated.label.tolist())
    assert import_file(path, tmp_path, APPLICATION, WEEK, None) == Imported(100, 100, 0)
    write_simulated(tmp_path, APPLICATION, simulated, START + 1000 * DAY, "asked-too")
    imported, written = read(tmp_path, "events", "asked"), read(tmp_path, "events", "asked-too")
    assert [row | {"kafka_topic": "asked-too"} for row in imported] == written
    for label in read(tmp_path, "labels", "asked"):
        assert label["labelled_at"] == label["occurred_at"] + WEEK
    assert [row["label"] for row in read(tmp_path, "labels", "asked")] == simulated.label.tolist()


def test_refused_rows_are_listed_without_their_values(tmp_path: Path) -> None:
    """Rows that are no event, or have no usable label, are listed by number; unlabelled ones are events."""
    simulated = simulator.transactions(4, START, 0.01, 3)
    path = labelled_file(tmp_path / "paid.ndjson", TRANSACTION, simulated, [True, None, "perhaps", 0])
    line = path.read_text().splitlines()[0]
    path.write_text(path.read_text() + "\n{bad\n" + line[:-1] + ', "amount": 1}\n' + line + "\n")
    assert import_file(path, tmp_path / "archive", TRANSACTION, WEEK, None) == Imported(4, 3, 3)
    assert [row["kafka_offset"] for row in read(tmp_path / "archive", "events", "paid")] == [0, 1, 3, 6]
    assert [row["kafka_offset"] for row in read(tmp_path / "archive", "labels", "paid")] == [0, 3, 6]
    listed = [json.loads(line) for line in (tmp_path / "archive" / "refused.ndjson").read_text().splitlines()]
    assert [(row["topic"], row["row"], row["reason"], row["field"]) for row in listed] == [
        ("paid", 2, "wrong_type", "is_fraud"),
        ("paid", 4, "bad_json", ""),
        ("paid", 5, "duplicate_key", "amount"),
    ]


def test_imports_share_a_folder(tmp_path: Path) -> None:
    """Each import replaces its own files and refusals and leaves those of the others."""
    simulated = simulator.transactions(2, START, 0.01, 3)
    for name in ("a", "b", "a"):
        path = labelled_file(tmp_path / f"{name}.ndjson", TRANSACTION, simulated, [True, "perhaps"])
        import_file(path, tmp_path / "archive", TRANSACTION, WEEK, None)
    refused = (tmp_path / "archive" / "refused.ndjson").read_text().splitlines()
    assert [json.loads(line)["topic"] for line in refused] == ["b", "a"]
    assert files_in(tmp_path / "archive")[:4] == [f"{k}/{n}.parquet" for k in ("events", "labels") for n in "ab"]


def test_a_csv_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row numbers run through all chunks, and a given time stands in for the column."""
    monkeypatch.setattr(importing, "CHUNK", 3)
    names = [field.name for field in APPLICATION.fields if not field.optional and field.name != "occurred_at"]
    lines = [f"{row},ab-{row},100.5,12,online,employed,rent,{'car' * (row != 4)},{row % 2}" for row in range(8)]
    path = tmp_path / "asked.csv"
    path.write_text("\n".join([",".join([*names, "is_default"]), *lines]))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert import_file(path, tmp_path, APPLICATION, WEEK, at) == Imported(7, 7, 1)
    rows = read(tmp_path, "events", "asked")
    assert [row["kafka_offset"] for row in rows] == [0, 1, 2, 3, 5, 6, 7]
    assert {row["occurred_at"] for row in rows} == {row["kafka_timestamp"] for row in rows} == {at}
    with pytest.raises(DataError, match="needs one column 'occurred_at'"):
        import_file(path, tmp_path / "other", APPLICATION, WEEK, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [('{"event_id":"1"}\n' * 3, None), ("", None), ("x" * (16 << 20), "a row is too long")],
)
def test_files_of_nothing(tmp_path: Path, content: str, message: str | None) -> None:
    """No rows, or no valid ones, make an empty part; a damaged file leaves the archive as it was."""
    path = tmp_path / "a.ndjson"
    path.write_text(content)
    if message:
        with pytest.raises(DataError, match=message):
            import_file(path, tmp_path / "archive", TRANSACTION, WEEK, None)
        assert files_in(tmp_path / "archive") == []
    else:
        assert import_file(path, tmp_path, TRANSACTION, WEEK, None) == Imported(0, 0, content.count("\n"))
        assert read(tmp_path, "events", "a") == read(tmp_path, "labels", "a") == []


def test_a_file_without_any_label(tmp_path: Path) -> None:
    """Events none of which has a label would all pass for genuine: refused, and nothing is written."""
    simulated = simulator.transactions(5, START, 0.01, 3)
    path = labelled_file(tmp_path / "paid.ndjson", TRANSACTION, simulated, [None] * 5)
    with pytest.raises(DataError, match="no row has a label 'is_fraud'"):
        import_file(path, tmp_path / "new" / "archive", TRANSACTION, WEEK, None)
    assert not (tmp_path / "new").exists()


def test_an_integer_beyond_64_bits_is_refused(tmp_path: Path) -> None:
    """An event may have such a number, a column may not: its row is refused, its neighbours are written."""
    simulated = simulator.applications(2, START, 0.01, 3)
    path = labelled_file(tmp_path / "asked.ndjson", NUMBERED, simulated, [True, False])
    lines = [json.loads(line) | {"event_id": 2**63 - 1 + row} for row, line in enumerate(path.read_text().splitlines())]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert import_file(path, tmp_path, NUMBERED, WEEK, None) == Imported(1, 1, 1)
    assert json.loads((tmp_path / "refused.ndjson").read_text())["field"] == "event_id"


def test_a_whole_file_or_nothing(tmp_path: Path) -> None:
    """An error while writing leaves the old content and no temporary file."""
    path = tmp_path / "new" / "file"
    with whole_file(path) as file:
        file.write(b"old")
    with pytest.raises(KeyError), whole_file(path) as file:  # noqa: PT012
        file.write(b"new")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert files_in(tmp_path) == ["new/file"]
    with pytest.raises(DataError, match="cannot be written: File exists"), whole_file(path / "below"):
        pass
