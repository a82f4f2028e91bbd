"""A model in memory and a worker on the same events say the same."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

import streamscore
from streamscore.core.events.transaction import TRANSACTION
from streamscore.testing import FixedClock, MemorySink, MemorySource, events_of
from tests.support.running import until


@pytest.mark.usefixtures("quick_warming")
def test_the_numbers_are_those_of_a_worker(models: Path) -> None:
    """Risk, decision, reasons, features and dead letters of a worker are those of `Model.score`, to the bit."""
    events = events_of(TRANSACTION, 300, seed=5)
    events[7]["amount"] = -1.0
    del events[9]["currency"]
    source, sink = MemorySource.of("payments", events), MemorySink()
    settings = streamscore.load_settings(
        env={}, inputs={"payments": "transaction"}, models={"store": str(models)}, http={"port": 0},
        publish_features="all",
    )  # fmt: skip
    worker = streamscore.Worker(
        settings, source=source, sinks=[sink], clock=FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    )
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        until(lambda: len(sink.scores) + len(sink.dead_letters) == 300, 60, "all events are scored")
    finally:
        worker.stop()
        thread.join()
    found = streamscore.load_model(models, TRANSACTION).score(events, reasons=True, features=True)
    scored = found[found["error"].isna()].to_dict("records")
    assert [(row["risk"], row["decision"], row["reasons"], row["features"]) for row in scored] == [
        (score["risk"], score["decision"], score.get("reasons", []), score["features"]) for score in sink.scores
    ]
    assert found["error"].dropna().to_dict() == {
        int(letter["offset"]): f"{letter['reason']}: {letter['field']}: {letter['error']}"
        for letter in sink.dead_letters
    }
    assert any(row["reasons"] for row in scored)
