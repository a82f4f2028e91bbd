"""A history out of the archive: the numbers, repetitions and bounds of a worker that read the topics themselves."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamscore.archive.delta import Table
from streamscore.archive.pseudonyms import hidden
from streamscore.archive.rows import event_rows, label_rows
from streamscore.core.events.decode import Entry, Limits
from streamscore.core.events.record import Record
from streamscore.core.history.entity_history import Bounds
from streamscore.core.privacy.pseudonym import Pseudonyms
from streamscore.core.scoring.stream_history import StreamHistory
from streamscore.kafka.start_offsets import Kept
from streamscore.recovery.from_archive import archived
from streamscore.recovery.from_snapshot import RecoverableStream
from tests.unit.core.scoring.test_stream_history import BUNDLE, DAY, HOUR, NOON, TYPE, entry, label

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BOUNDS = Bounds(slack=timedelta(0))
COUNT, HELD, COMMITTED = 300, 240, 200
KEYED, OTHER = Pseudonyms.of("a key of this test"), Pseudonyms.of("another key")
PARTITIONS = (("events", 0), ("events", 1), ("labels", 0))


def stream() -> list[Entry]:
    """Payments of three customers in two partitions, some sent twice."""
    events = [
        entry(n // 2, NOON + n * HOUR, partition=n % 2, customer_id=f"c{n % 3}", event_id=f"e{n - (n % 50 == 49) * 2}")
        for n in range(COUNT)
    ]
    for n in range(49, COUNT, 50):  # sent again in the same partition, as it was
        events[n] = entry(
            n // 2, NOON + (n - 2) * HOUR, partition=n % 2, customer_id=f"c{(n - 2) % 3}", event_id=f"e{n - 2}"
        )
    return events


def labels_for(history: StreamHistory) -> list[Entry]:
    """Labels of frauds, known five hours after their events."""
    return [label(history, k, EVENTS[n], NOON + (n + 5) * HOUR) for k, n in enumerate(range(0, COUNT, 20))]


EVENTS = stream()
LABELS = labels_for(StreamHistory(TYPE, BOUNDS, {}))


def archive(folder: Path, events: Sequence[Entry], labels: Sequence[Entry], names: Pseudonyms | None = None) -> None:
    """What an archiver writes of them."""
    limits = Limits()
    for records, rows_of, name in (
        ([e.record for e in events], event_rows(TYPE, limits), "events"),
        ([e.record for e in labels], label_rows(TYPE, limits), "labels"),
    ):
        given = [Record(r.topic, r.partition, r.offset, 0, None, r.value, None) for r in records]
        rows = (hidden(rows_of, {TYPE.name: TYPE}, names) if names else rows_of)(given, NOW)
        after: dict[tuple[str, int], int] = {}
        for record in records:
            at = (record.topic, record.partition)
            after[at] = max(after.get(at, 0), record.offset + 1)
        table = Table(str(folder / name), key_id=names.key_id if names else None)
        table.append(rows[f"{TYPE.name}/{name}"], table.reached(after.keys()), after)


def retained(first: int = 0, committed: int = COMMITTED // 2, names: Pseudonyms | None = None) -> RecoverableStream:
    events = {p: Kept(first, COUNT // 2, committed) for p in PARTITIONS[:2]}
    return RecoverableStream(TYPE, BOUNDS, {**events, PARTITIONS[2]: Kept(0, len(LABELS), -1)}, {}, names)


def from_topics(events: int, labels: int, names: Pseudonyms | None = None) -> StreamHistory:
    """A history that read so many events and labels."""
    history = StreamHistory(TYPE, BOUNDS, dict.fromkeys(PARTITIONS, 0), names)
    history.prepare([*EVENTS[:events], *labels_for(history)[:labels]], BUNDLE, {})
    return history


def asked(history: StreamHistory, entries: Sequence[Entry]) -> tuple[np.ndarray, set[int]]:
    prepared = history.prepare(entries, BUNDLE, {PARTITIONS[0]: 0, PARTITIONS[1]: 0})
    return prepared.matrix, set(prepared.duplicates)


def restore(folder: Path, kept: RecoverableStream, latest: bool = False) -> StreamHistory:
    return archived(kept, str(folder), latest, lambda _: None)


@pytest.mark.parametrize("names", [None, KEYED], ids=["ids", "pseudonyms"])
def test_it_goes_on_where_the_archive_ends(tmp_path: Path, names: Pseudonyms | None) -> None:
    """What is yet to be scored, and what follows, has the numbers and marks that a worker gives which read it all.

    That one knows ids; whether the archive and who goes on with it know them or their pseudonyms is the same.
    """
    archive(tmp_path, EVENTS[:HELD], LABELS[: HELD // 20], names)
    history, whole, known = restore(tmp_path, retained(names=names)), from_topics(HELD, HELD // 20), HELD // 20
    assert set(history.by_entity.entities.values()) == {3}
    assert {p: history.folded[p] for p in PARTITIONS} == {PARTITIONS[0]: 120, PARTITIONS[1]: 120, PARTITIONS[2]: 0}
    history.prepare(labels_for(history)[:known], BUNDLE, {})  # the topic of labels is read from its beginning
    assert history.by_entity.bound > 0
    for begin, end in ((COMMITTED, HELD), (HELD, COUNT), (COMMITTED, COUNT)):
        both = [asked(p, [*labels_for(p)[known:], *EVENTS[begin:end]]) for p in (history, whole)]
        assert np.array_equal(both[0][0], both[1][0])
        assert both[0][1] == both[1][1]
        assert both[0][0][:, 1].any()
    assert history.complete_since == 0


def test_nothing_is_forgotten_that_is_to_be_scored(tmp_path: Path) -> None:
    """Before the group has moved, its committed offsets bound what is dropped."""
    archive(tmp_path, EVENTS, LABELS)
    history = restore(tmp_path, retained())
    history.forget(dict.fromkeys(PARTITIONS[:2], COMMITTED // 2))
    assert history.by_entity.bound <= (NOON + COMMITTED * HOUR - DAY).timestamp() * 1e6


@pytest.mark.parametrize(
    ("first", "offset", "since"),
    [(0, 0, 0.0), (0, 10, (NOON + 20 * HOUR + DAY).timestamp()), (130, 0, (NOON + 239 * HOUR + DAY).timestamp())],
)
def test_since_when_it_is_complete(tmp_path: Path, first: int, offset: int, since: float) -> None:
    """An archive that began later is complete a horizon after; a hole between it and the topic makes it anew."""
    archive(tmp_path, EVENTS[2 * offset : HELD], [])
    history = restore(tmp_path, retained(first))
    assert history.complete_since == since
    if first:
        history.prepare(EVENTS[260:], BUNDLE, {})
        assert history.complete_since == (NOON + 261 * HOUR + DAY).timestamp()


def test_the_first_of_two_copies_is_the_first_that_came(tmp_path: Path) -> None:
    """Whatever the order in which the archive gives its rows, the repetition is the one that came later."""
    first, other, again = entry(0, NOON, event_id="e"), entry(1, NOON + HOUR), entry(2, NOON, event_id="e")
    for events in ([first, other], [again]):
        archive(tmp_path, events, LABELS[:1])
    kept = RecoverableStream(TYPE, BOUNDS, {PARTITIONS[0]: Kept(0, 3, 0)}, {})
    assert asked(restore(tmp_path, kept), [first, other, again])[1] == {2}


def test_labels_that_only_the_archive_has(tmp_path: Path) -> None:
    """A topic of labels that lost its beginning does not make the past incomplete where the archive holds all."""
    archive(tmp_path, EVENTS[:HELD], LABELS[:5])
    for first, complete in ((5, True), (6, False)):
        kept = retained()
        kept = kept._replace(kept={**kept.kept, PARTITIONS[2]: Kept(first, 9, -1)})
        assert (restore(tmp_path, kept).complete_since == 0) == complete


def test_a_new_group_that_starts_at_the_beginning(tmp_path: Path) -> None:
    """All may be asked, so all is folded; one that starts at the end needs its horizon only."""
    archive(tmp_path, EVENTS, LABELS)
    assert restore(tmp_path, retained(committed=-1)).by_entity.events > 290
    assert restore(tmp_path, retained(committed=-1), latest=True).by_entity.events < 30


@pytest.mark.parametrize("what", ["none", "other topics", "damaged", "another key", "no key", "a key"])
def test_an_archive_that_cannot_be_used(tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without tables, of topics made anew, damaged, or by other names: the past is empty and the topics are read."""
    keys = {"another key": (KEYED, OTHER), "no key": (KEYED, None), "a key": (None, KEYED)}
    theirs, ours = keys.get(what, (None, None))
    kept: Any = retained(names=ours)
    if what != "none":
        archive(tmp_path, EVENTS, LABELS, theirs)
    if what == "other topics":
        kept = kept._replace(kept={p: Kept(0, 20, 5) for p in PARTITIONS})
    if what == "damaged":
        for path in (tmp_path / "events").rglob("*.parquet"):
            path.write_bytes(b"PAR1")
    history = restore(tmp_path, kept)
    assert history.by_entity.events == 0
    assert history.folded == dict.fromkeys(PARTITIONS, 0)
    assert ("the archive is not used" in caplog.text) == (what != "none")
