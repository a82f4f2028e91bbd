"""Rows sorted by time in bounded memory: the same as one sort of everything."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamscore.core.history.identity import words
from streamscore.files import external_sort as time_order
from streamscore.files.external_sort import in_order

ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), max_size=60)
FEW = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("text", [False, True])
@FEW
@given(chunks=st.lists(ROWS, max_size=8))
def test_any_order_becomes_one(
    monkeypatch: pytest.MonkeyPatch, text: bool, chunks: list[list[tuple[int, int]]]
) -> None:
    """Rows of many runs, read in small chunks, come oldest first and equal times by id, none lost."""
    monkeypatch.setattr(time_order, "RUN_ROWS", 20)
    monkeypatch.setattr(time_order, "CHUNK", 4)
    rows = [[(at, f"é{n}" if text else n) for at, n in chunk] for chunk in chunks]
    kind = pa.string() if text else pa.int64()
    with TemporaryDirectory() as folder:
        tables = [
            pa.table(
                {"at": pa.array([at for at, _ in chunk], pa.int64()), "event_id": pa.array([n for _, n in chunk], kind)}
            )
            for chunk in rows
        ]
        found = list(in_order(tables, Path(folder)))
    merged = [
        key for table in found for key in zip(table["at"].to_pylist(), table["event_id"].to_pylist(), strict=True)
    ]
    assert merged == sorted(key for chunk in rows for key in chunk)


def test_long_rows_make_short_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run ends also when its bytes are many, and nothing is written where one run holds all."""
    table = pa.table({"at": [2, 1], "event_id": [1, 1], "line": [b"x" * 1000] * 2})
    assert sum(chunk.num_rows for chunk in in_order([table] * 4, tmp_path)) == 8
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(time_order, "RUN_BYTES", 3000)
    assert sum(chunk.num_rows for chunk in in_order([table] * 4, tmp_path)) == 8
    assert len(list(tmp_path.iterdir())) == 2


def test_long_ids_are_in_the_order_of_history(tmp_path: Path) -> None:
    """Ids that history shortens are sorted as it sorts them, or rows of one time would be asked before it knows all."""
    ids = [f"urn:bank:eu-west-1:cards:authorisations:2025-06-02:{n:024d}" for n in range(40)] + ["short"]
    rows = pa.table({"at": pa.array([7] * len(ids), pa.int64()), "event_id": ids})
    found = pa.concat_tables(in_order([rows], tmp_path))["event_id"].to_pylist()
    packed = [tuple(word) for word in words(found).tolist()]
    assert packed == sorted(packed)
    assert found != sorted(found)


@settings(deadline=None)
@given(st.permutations([(at, number, place) for at in (1, 2) for number in (1, 2) for place in range(8)]))
def test_rows_of_one_key_come_by_their_place(rows: list[tuple[int, int, int]]) -> None:
    """However many runs and chunks they lie in."""
    at, ids, places = zip(*rows, strict=True)
    table = pa.table({"at": at, "event_id": ids, "kafka_partition": [p // 4 for p in places], "kafka_offset": places})
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(time_order, "RUN_ROWS", 8)
        patch.setattr(time_order, "CHUNK", 2)
        found = pa.concat_tables(in_order([table.slice(n, 4) for n in range(0, 32, 4)], Path(folder)))
    assert list(zip(*(found[n].to_pylist() for n in ("at", "event_id", "kafka_offset")), strict=True)) == sorted(rows)
