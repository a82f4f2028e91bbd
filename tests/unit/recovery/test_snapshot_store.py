"""Snapshots: what is read is what was written, damage and change are noticed, old ones go, and the loop never waits."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import pytest

from streamscore.core.events.aggregate import Aggregate
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import FeatureSet
from streamscore.core.history.entity_history import Bounds, Cursor
from streamscore.core.history.timeline import Part
from streamscore.core.privacy.pseudonym import Pseudonyms
from streamscore.core.scoring.stream_history import StreamHistory
from streamscore.errors import SettingsError
from streamscore.kafka.start_offsets import Kept
from streamscore.recovery.from_snapshot import RecoverableStream, declaration, restored
from streamscore.recovery.snapshot_store import Identity, Manifest, SnapshotStore, name_of
from streamscore.recovery.snapshot_writer import SnapshotWriter
from tests.support.copied import copies
from tests.support.running import until
from tests.unit.core.scoring.test_stream_history import BUNDLE, HOUR, NOON, TYPE, counts, entry, label

BOUNDS = Bounds(slack=timedelta(0))
EVENTS, LABELS = ("events", 0), ("labels", 0)
COMMITTED = 30
SHORTER = replace(TYPE, history=(replace(TYPE.history[0], window=HOUR), TYPE.history[1]))
TOPICS = {"events": "id-1", "labels": "id-2"}


def lived() -> StreamHistory:
    """A history of 40 events and a label, of which the group committed the first 30."""
    history = StreamHistory(TYPE, BOUNDS, {EVENTS: 0, LABELS: 0})
    entries = [entry(n, NOON + n * HOUR, customer_id=f"c{n % 3}") for n in range(40)]
    history.prepare([*entries, label(history, 0, entries[30], NOON + 39 * HOUR)], BUNDLE, {})
    history.forget({EVENTS: COMMITTED, LABELS: -1, ("others", 0): 5})
    return history


def write(store: SnapshotStore, history: StreamHistory, name: str = "20260101T000000-a") -> Manifest:
    """A snapshot of a past that stands still."""
    parts = [store.add(name, n, timeline, [part]) for n, (timeline, part) in enumerate(copies(history.by_entity, 10))]
    manifest = Manifest(declaration(TYPE, history.horizon), TOPICS, history.standing(), history.standing(), parts)
    store.complete(name, manifest)
    return manifest


def retained(first: int = 0, end: int = 99, committed: int = COMMITTED, **topics: str) -> RecoverableStream:
    kept = {EVENTS: Kept(first, end, committed), LABELS: Kept(0, 99, -1)}
    return RecoverableStream(TYPE, BOUNDS, kept, TOPICS | topics)


def restore(stream: RecoverableStream, store: SnapshotStore, latest: bool = False) -> StreamHistory:
    return restored(stream, store, latest, lambda _: None) or stream.empty


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path), "remembered")


def test_a_past_comes_back(store: SnapshotStore) -> None:
    """It goes on at the offset where the other one stood, with the same numbers, also of the label."""
    history = lived()
    write(store, history)
    again = restore(retained(), store)
    assert again.folded == history.folded == {EVENTS: 40, LABELS: 1}
    asked = [entry(40 + n, NOON + (40 + n) * HOUR, customer_id=f"c{n % 3}") for n in range(20)]
    matrices = [p.prepare(asked, BUNDLE, {EVENTS: 0}).matrix for p in (history, again)]
    assert np.array_equal(matrices[0], matrices[1])
    assert matrices[0][:, 1].any()


def test_parts_keep_every_bit(store: SnapshotStore) -> None:
    """Keys beyond 63 bits, extreme times, ids of several words, timelines without columns, one entity or none."""
    extreme = np.array([-(2**63), 2**63 - 1, 0, 5], np.int64)
    for words, columns in ((1, 0), (3, 2)):
        part = Part(
            keys=np.array([2**64 - 1, 0], np.uint64),
            sizes=np.array([3, 1]),
            at=extreme,
            ids=np.stack([extreme] * words, axis=1),
            added=np.stack([extreme[::-1]] * columns, axis=1) if columns else np.zeros((4, 0), np.int64),
        )
        (empty,) = [Part(*(array[:0] for array in part))]
        for pieces in ([part], [part, empty, part], [empty]):
            found = store.part("s", store.add("s", 1, "customer_id", pieces))
            for array, *expected in zip(found, *pieces, strict=True):
                assert np.array_equal(array, np.concatenate(expected))
                assert array.flags.c_contiguous
                assert array.flags.writeable


@pytest.mark.parametrize("damage", ["part", "manifest", "gone", "no manifest"])
def test_damage_is_noticed_and_an_older_one_serves(store: SnapshotStore, tmp_path: Path, damage: str) -> None:
    """A flipped byte, a file that is not there, a snapshot that was never completed: the one before is taken."""
    write(store, lived())
    newer = StreamHistory(TYPE, BOUNDS, {EVENTS: 0, LABELS: 0})
    counts(newer, [entry(n, NOON + n * HOUR) for n in range(50)], {})
    write(store, newer, "20260102T000000-b")
    assert restore(retained(), store).folded[EVENTS] == 50
    folder = tmp_path / "remembered" / "20260102T000000-b"
    path = folder / ("00000.parquet" if damage in ("part", "gone") else "manifest.json")
    if damage in ("gone", "no manifest"):
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert restore(retained(), store).folded[EVENTS] == 40


@pytest.mark.parametrize(
    ("stream", "latest", "reason"),
    [
        (retained(first=41), False, "does not keep what follows it"),
        (retained(end=39), False, "does not keep what follows it"),
        (retained(committed=COMMITTED - 1), False, "to be scored from before offset 30"),
        (retained(committed=-1), False, "to be scored from before offset 30"),
        (retained(events="id-9"), False, "another one of the same name"),
        (retained()._replace(event_type=SHORTER), False, "declared as history has changed"),
        (retained()._replace(bounds=Bounds(slack=timedelta(days=2))), False, "declared as history has changed"),
        (retained()._replace(pseudonyms=Pseudonyms.of("a key")), False, "go by their ids, and pseudonyms.key is set"),
        (retained()._replace(erased="1"), False, "an entity was erased since"),
        (retained(committed=-1), True, None),
        (retained(committed=COMMITTED, first=40, end=40), False, None),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_folded_anew(
    store: SnapshotStore, stream: RecoverableStream, latest: bool, reason: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Offsets that expired, a group set back, a topic made anew, another declaration or horizon."""
    write(store, lived())
    caplog.set_level("WARNING")
    history = restore(stream, store, latest)
    assert history.folded[EVENTS] == (40 if reason is None else stream.kept[EVENTS].first)
    assert history.by_entity.events == (0 if reason else history.by_entity.events)
    assert (reason or "") in caplog.text


def test_a_number_that_may_be_missing_is_declared_otherwise() -> None:
    """It takes one more column of sums: rows of a snapshot from before do not fit."""
    measured = (Aggregate("mean", "mean", ("customer_id",), HOUR, value="amount"),)
    fields = [(f.name, f.type, f.default) for f in msgspec.structs.fields(TYPE.struct) if f.name != "amount"]

    def declared(amount: object) -> str:
        kept = [(n, k) if d is msgspec.NODEFAULT else (n, k, d) for n, k, d in fields]
        struct = msgspec.defstruct("Payment", [("amount", amount), *kept], frozen=True, kw_only=True)
        return declaration(EventType("paid", struct, TYPE.entities, FeatureSet(()), "", history=measured), 1)

    number = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    assert declared(number) == declared(number) != declared(number | None)


def test_a_folder_with_any_name(tmp_path: Path) -> None:
    """What means many files to a shell is a letter like others."""
    store = SnapshotStore(str(tmp_path / "of [prod]*?"), "remembered")
    write(store, lived())
    assert restore(retained(), store).folded[EVENTS] == 40


def test_others_may_remove_what_is_being_read(store: SnapshotStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that finds its snapshots gone looks for the one that replaced them."""
    write(store, lived())
    manifest, newer = SnapshotStore.manifest, "20260102T000000-b"

    def gone(self: SnapshotStore, name: str) -> Manifest:
        if name != newer:
            write(self, lived(), newer)
            self.remove([name])
            self.remove([name])  # by two at once
        return manifest(self, name)

    monkeypatch.setattr(SnapshotStore, "manifest", gone)
    assert restore(retained(), store).folded[EVENTS] == 40


@pytest.mark.parametrize("wrong", [timedelta(days=365), timedelta(hours=2)])
def test_a_wrong_clock_stops_no_snapshots(store: SnapshotStore, wrong: timedelta) -> None:
    """After one that a clock ahead has named, or with a clock set back, the next is made and is the newest."""
    history, done = lived(), list[float | None]()
    ahead = name_of(datetime.now(UTC) + wrong, "wrong")
    write(store, history, ahead)
    writer = SnapshotWriter(store, Identity(declaration(TYPE, history.horizon), TOPICS), 0.1, done.append)
    until(lambda: (writer.turn(history), bool(done))[1], 30, "one is made")
    writer.close()
    assert store.names()[0] > ahead


def test_a_volume_full_of_what_was_given_up(
    store: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun long ago goes before the next is begun, and an attempt that failed leaves nothing."""
    history, done = lived(), list[float | None]()
    left = name_of(datetime.now(UTC) - timedelta(hours=7), "killed")
    store.add(left, 0, *copies(history.by_entity, 1)[0][:1], [copies(history.by_entity, 1)[0][1]])
    whole = SnapshotStore.add

    def add(*arguments: object) -> object:
        made = whole(*arguments)  # type: ignore[arg-type]
        if not done:
            raise OSError("no space left")
        return made

    monkeypatch.setattr(SnapshotStore, "add", add)
    writer = SnapshotWriter(store, Identity(declaration(TYPE, history.horizon), TOPICS), 0.1, done.append)
    until(lambda: (writer.turn(history), bool(done))[1], 30, "the first fails")
    assert not list((tmp_path / "remembered").iterdir())
    until(lambda: (writer.turn(history), len(done) > 1)[1], 30, "the next is made")
    writer.close()
    assert done[0] is None
    assert len(store.names()) == 1


def test_a_store_that_cannot_be_read_does_no_harm(tmp_path: Path) -> None:
    """Whatever a file system raises, the past is folded anew; an address that is none is told at once."""
    (tmp_path / "file").write_text("")
    assert restore(retained(), SnapshotStore(str(tmp_path / "file"), "x")).folded == {EVENTS: 0, LABELS: 0}
    with pytest.raises(SettingsError, match="nowhere"):
        SnapshotStore("nowhere://secret@host", "x")


def test_old_ones_are_removed(store: SnapshotStore, tmp_path: Path) -> None:
    """Two complete ones stay, and what may still be in the making."""
    history, now = lived(), datetime(2026, 1, 9, 12, tzinfo=UTC)
    for day in range(1, 5):
        write(store, history, f"2026010{day}T000000-a")
    for hours in (1, 7):
        store.add(
            name_of(now - timedelta(hours=hours), "b"),
            0,
            *copies(history.by_entity, 1)[0][:1],
            [copies(history.by_entity, 1)[0][1]],
        )
    (tmp_path / "remembered" / "notes").mkdir()
    store.tidy(now)
    left = sorted(path.name for path in (tmp_path / "remembered").iterdir())
    assert left == ["20260103T000000-a", "20260104T000000-a", "20260109T110000-b", "notes"]


def test_a_writer_makes_them_while_the_loop_turns(store: SnapshotStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the past folds meanwhile is in the snapshot or follows it; a failing store is told and tried again."""
    monkeypatch.setattr("streamscore.recovery.snapshot_writer.COPIED", 7)
    history, done, fail = lived(), list[float | None](), threading.Event()
    fail.set()
    whole = SnapshotStore.add

    def add(*arguments: object) -> object:
        if fail.is_set():
            raise OSError("the other side is gone")
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SnapshotStore, "add", add)
    writer = SnapshotWriter(store, Identity(declaration(TYPE, history.horizon), TOPICS), 0.1, done.append)
    more = iter(range(40, 100_000))

    def turned() -> int:
        offset = next(more)
        counts(
            history, [entry(offset, NOON + 40 * HOUR + offset * timedelta(seconds=1), customer_id=f"c{offset % 3}")], {}
        )
        writer.turn(history)
        return len(done)

    until(lambda: turned() >= 2, 30, "it failed twice")
    fail.clear()
    until(lambda: bool(turned()) and done[-1] is not None, 30, "a snapshot is made")
    writer.close()
    again = restore(retained(end=10**6), store)
    start = again.folded[EVENTS]
    assert 40 <= start < history.folded[EVENTS]
    tail = [
        entry(o, NOON + 40 * HOUR + o * timedelta(seconds=1), customer_id=f"c{o % 3}")
        for o in range(start, history.folded[EVENTS])
    ]
    counts(again, tail, {})
    asked = [entry(10**6 + n, NOON + 60 * HOUR, customer_id=f"c{n}") for n in range(3)]
    assert counts(again, asked) == counts(history, asked)
    assert not again.prepare(tail, BUNDLE, {EVENTS: 0}).duplicates


def test_the_loop_never_waits(store: SnapshotStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store takes its time, turns return at once and copy no more than may wait."""
    monkeypatch.setattr("streamscore.recovery.snapshot_writer.COPIED", 1)
    stuck, copied = threading.Event(), list[Cursor]()
    monkeypatch.setattr(SnapshotStore, "add", lambda *_: stuck.wait(60))
    history = lived()
    original = history.by_entity.copied

    def counted(cursor: Cursor, rows: int) -> object:
        copied.append(cursor)
        return original(cursor, rows)

    monkeypatch.setattr(history.by_entity, "copied", counted)
    monkeypatch.setattr("streamscore.recovery.snapshot_writer.PART", 1)
    writer = SnapshotWriter(store, Identity("", {}), 0.05, lambda _: None)
    until(lambda: writer.turn(history) or bool(copied), 30, "one is due")
    for _ in range(1000):
        writer.turn(history)
    assert len(copied) < 12
    stuck.set()
    writer.close()
