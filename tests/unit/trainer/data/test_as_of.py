"""A training as of a time is repeatable; the long form is `make evidence ONLY=as-of`."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from streamscore.archive import upkeep as delta_upkeep
from streamscore.archive.read import Archive, Rows
from streamscore.archive.rows import event_rows
from streamscore.core.events.decode import Limits
from tests.evidence import asof, online
from tests.support.windowed import WINDOWED
from trainer.data.ordered import ReadCounts, ordered


def test_what_came_later_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Late events, corrected labels and a compaction: the same weights as of then, others as of now."""
    settings = asof.SETTINGS.model_copy(update={"preset": "logistic", "epochs": 1})
    monkeypatch.setattr(asof, "SETTINGS", settings)
    assert asof.repeated(tmp_path, 4000, 40) == (True, False)


def test_of_copies_the_first_that_came_is_kept(tmp_path: Path) -> None:
    """An event that came again with another amount on a later day: also where a compaction wrote the first anew."""
    place = tmp_path / "archive" / WINDOWED.name
    events = asof.Topic(place / "events", event_rows(WINDOWED, Limits()))
    first = [value or b"" for _, value in online.events_of(online.made(20, 2))]
    again = [msgspec.json.encode(msgspec.json.decode(value) | {"amount": 999.0}) for value in first]
    for values, days in ((first[:10], 3), (first[10:], 3), (again, 1)):
        events.archive(values, asof.NOW - timedelta(days=days))
    kept = [amounts(tmp_path / "archive", tmp_path / "before")]
    assert delta_upkeep.compact(str(events.table)) == (2, 1)
    kept.append(amounts(tmp_path / "archive", tmp_path / "after"))
    assert kept == [sorted(msgspec.json.decode(value)["amount"] for value in first)] * 2


def amounts(archive: Path, folder: Path) -> list[float]:
    folder.mkdir()
    chunks = ordered(Archive(str(archive), WINDOWED), WINDOWED, Rows(as_of=asof.ASKED), folder, ReadCounts())
    return sorted(amount for chunk in chunks for amount in chunk.events["amount"].to_pylist())
