"""Run the worker over one day of a file, without Kafka: what would it have said?

    python examples/replay_a_day.py models events.parquet 2025-01-15

The events go through the worker itself, in the order of time. The clock stands at the end of the day.
"""

import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

import streamscore
from streamscore.testing import FixedClock, MemorySink, MemorySource


def events_of_day(file: str, day: datetime) -> list[dict[str, Any]]:
    """The day's events, oldest first, as JSON has them: times are text, and what is missing is left out."""
    events = pd.read_parquet(file)
    times = pd.to_datetime(events["occurred_at"], utc=True)
    events["occurred_at"] = times.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    inside = events[(times >= day) & (times < day + timedelta(days=1))]
    rows = inside.sort_values("occurred_at").to_dict("records")
    return [{str(name): value for name, value in row.items() if not pd.isna(value)} for row in rows]


def replay(store: str, events: list[dict[str, Any]], now: datetime) -> MemorySink:
    """What a worker makes of events: its scores, alerts and dead letters."""
    settings = streamscore.load_settings(
        env={}, inputs={"payments": "transaction"}, models={"store": store}, http={"port": 0}
    )
    sink = MemorySink()
    source = MemorySource.of("payments", events)
    worker = streamscore.Worker(settings, source=source, sinks=[sink], clock=FixedClock(now))
    thread = threading.Thread(target=worker.run)
    thread.start()
    while thread.is_alive() and len(sink.scores) + len(sink.dead_letters) < len(events):
        time.sleep(0.05)
    worker.stop()
    thread.join()
    return sink


def main(store: str, file: str, day: str) -> MemorySink:
    """Print how many events of the day got which decision, and its alerts."""
    begins = datetime.fromisoformat(day).replace(tzinfo=UTC)
    sink = replay(store, events_of_day(file, begins), begins + timedelta(days=1))
    print(pd.Series([score["decision"] for score in sink.scores], dtype=object).value_counts().to_string())
    for alert in sink.alerts:
        why = "; ".join(reason["text"] for reason in alert["reasons"])
        print(f"{alert['occurred_at']} {alert['event_id']}: {alert['risk']:.3f}: {why}")
    return sink


if __name__ == "__main__":
    main(*sys.argv[1:])
