"""The programs of `examples/` run, and give the numbers that the model gives."""

import json
import threading
from pathlib import Path

import pandas as pd
import pytest

import streamscore
from examples import own_sink, replay_a_day, score_a_frame
from streamscore.core.events.transaction import TRANSACTION
from streamscore.simulator.streams import json_lines
from streamscore.testing import MemorySource
from tests.support.running import until
from tests.support.trained import simulated

pytestmark = pytest.mark.usefixtures("quick_warming")
COLUMNS = simulated("transaction", 600).columns
EVENTS = pd.DataFrame(COLUMNS).assign(occurred_at=pd.to_datetime(COLUMNS["occurred_at"], unit="us"))
DAYS = EVENTS["occurred_at"].dt.strftime("%Y-%m-%d")
DAY = str(DAYS.iloc[300])


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The events as a parquet file."""
    EVENTS.to_parquet(tmp_path / "events.parquet")
    return str(tmp_path / "events.parquet")


def test_a_frame_is_scored(models: Path, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The program scores every row of the file and prints the riskiest first."""
    scored = score_a_frame.main(str(models), file)
    assert scored.risk.notna().all()
    assert str(scored.nlargest(1, "risk")["event_id"].item()) in capsys.readouterr().out


def test_a_day_is_replayed(models: Path, file: str) -> None:
    """The worker scores each event of the day, and none of another, with the risk that the model gives."""
    sink = replay_a_day.main(str(models), file, DAY)
    day = EVENTS[DAYS == DAY]
    assert len(day) > 3
    assert [score["event_id"] for score in sink.scores] == day.event_id.tolist()
    expected = streamscore.load_model(models, "transaction").score(day)
    assert [score["risk"] for score in sink.scores] == pytest.approx(expected.risk.tolist(), abs=2e-6)
    assert [score["decision"] for score in sink.scores] == expected.decision.tolist()


def test_alerts_are_lines_of_a_file(models: Path, tmp_path: Path) -> None:
    """Each event above the review threshold is a line of the file once its offset is committed."""
    model = streamscore.load_model(models, "transaction")
    scored = EVENTS.join(model.score(EVENTS))
    risky = scored[scored.decision != "approve"].event_id.tolist()
    source = MemorySource.of("payments", json_lines(TRANSACTION, simulated("transaction", 600)))
    settings = streamscore.load_settings(
        env={}, inputs={"payments": "transaction"}, models={"store": str(models)}, http={"port": 0}
    )
    worker = own_sink.worker(settings, tmp_path / "alerts.ndjson", source)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        until(lambda: source.offsets == {("payments", 0): len(EVENTS)}, 60, "all events are committed")
        alerts = [json.loads(line)["event_id"] for line in (tmp_path / "alerts.ndjson").read_text().splitlines()]
    finally:
        worker.stop()
        thread.join()
    assert alerts == risky
    assert alerts
