"""A training as of a time: late events, corrected labels and a compaction afterwards change none of its weights."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from streamscore.archive import upkeep as delta_upkeep
from streamscore.archive.delta import Table
from streamscore.archive.read import Rows
from streamscore.archive.rows import ToRows, event_rows, label_rows
from streamscore.core.events.decode import Limits
from streamscore.core.events.record import Record
from streamscore.models.store import ModelStore
from tests.bench.rows import Row
from tests.evidence import online
from tests.support.windowed import WINDOWED
from trainer.run import Job, Progress, Source, train_once
from trainer.settings import TrainingSettings

SETTINGS = TrainingSettings(preset="dense", epochs=2, gap_days=1)
SILENT = Progress(lambda _: None, lambda _: None)
NOW = datetime.now(UTC)
FIRST, ASKED, LATER = (NOW - timedelta(hours=hours) for hours in (5, 4, 3))


class Topic(NamedTuple):
    """A table of an archive, and how records become its rows."""

    table: Path
    rows: ToRows

    def archive(self, values: Sequence[bytes], at: datetime) -> None:
        """Append records as an archiver does at a time."""
        table, place = Table(str(self.table), at.timestamp), ("topic", 0)
        before = table.reached([place])
        begin = before.get(place, 0)
        records = [
            Record(*place, row, int(at.timestamp() * 1000), None, v, None) for row, v in enumerate(values, begin)
        ]
        rows = self.rows(records, NOW)[f"{WINDOWED.name}/{self.table.name}"]
        assert len(rows) == len(values)
        table.append(rows, before, {place: begin + len(values)})


def weights(folder: Path, as_of: datetime | None, name: str) -> str:
    """The digest of what a training learns as of a time, or of everything."""
    store = ModelStore(str(folder / name), WINDOWED.name)
    job = Job(WINDOWED, store, SETTINGS, NOW)
    return str(train_once(Source(str(folder / "archive"), Rows(as_of=as_of)), job, SILENT).metrics["weights"])


def repeated(folder: Path, count: int, days: int) -> tuple[bool, bool]:
    """Whether the weights as of a time are the same before and after, and those of everything too."""
    place = folder / "archive" / WINDOWED.name
    events = Topic(place / "events", event_rows(WINDOWED, Limits()))
    labels = Topic(place / "labels", label_rows(WINDOWED, Limits()))
    table = online.made(count, days)
    values = [value or b"" for _, value in online.events_of(table)]
    told = [value or b"" for _, value in online.labels_of(table)]
    random.Random(1).shuffle(values)
    most, half = count * 9 // 10, len(told) // 2
    events.archive(values[: most // 2], FIRST)
    labels.archive(told[:half], FIRST)
    events.archive(values[most // 2 : most], FIRST + timedelta(minutes=5))
    labels.archive(told[half:], FIRST + timedelta(minutes=5))
    before = weights(folder, ASKED, "before")
    events.archive(values[most:], LATER)
    corrected = [
        msgspec.json.decode(value) | {"label": False, "labelled_at": "2026-10-01T00:00:00Z"} for value in told[::5]
    ]
    labels.archive([msgspec.json.encode(value) for value in corrected], LATER)
    for topic in (events, labels):
        delta_upkeep.compact(str(topic.table))
    return weights(folder, ASKED, "after") == before, weights(folder, None, "now") == before


def rows(folder: Path) -> list[Row]:
    """The rows of `make evidence ONLY=as-of`."""
    same, everything = repeated(folder, 120_000, 60)
    return [
        Row("as of: identical weights after late events, corrected labels and a compaction", float(same), "", "== 1"),
        Row("as of: identical weights of all that is there by now", float(everything), "", "== 0"),
    ]
