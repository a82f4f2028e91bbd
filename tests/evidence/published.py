"""The published window features of real transactions, as three workers on Kafka publish them from the raw stream."""

from pathlib import Path

import numpy as np

from tests.bench.rows import Row
from tests.evidence import online
from tests.support import windows
from tests.support.apache_kafka.endpoint import Endpoint

EVENT_TYPE = "examples.handbook:TRANSACTION"
WORKERS = 3


def rows(kafka: Endpoint, data: Path, folder: Path) -> list[Row]:
    """All raw transactions up to the last published one are scored, one worker is killed with -9 in the middle."""
    oracle = windows.oracle(data)
    case = online.prepared(windows.until_the_last(data, oracle), folder, EVENT_TYPE)
    way, labels = online.sent(kafka, case)
    online.scored(way, labels, case, WORKERS)
    of_the_file = online.differences(way, online.offline(case))
    print(f"  against the command: {of_the_file}", flush=True)
    place = {event: row for row, event in enumerate(oracle["transaction_id"].to_pylist())}
    scores = [score for score in online.published(way) if score["event_id"] in place]
    places = [place[score["event_id"]] for score in scores]
    largest = {
        name: float(np.abs(online.feature(scores, name) - oracle[name].to_numpy()[places]).max())
        for name in windows.NAMES
    }
    exact = [name for name in windows.NAMES if name not in windows.MEANS]
    name = f"published windows from {WORKERS} workers"
    return [
        Row(f"{name}: published rows", len(set(places)), "events", ">= 162838"),
        Row(f"{name}: wrong counts and risks", sum(largest[n] > 0 for n in exact), "columns", "== 0"),
        Row(f"{name}: largest difference of a mean", max(largest[n] for n in windows.MEANS), "amount", "<= 1e-9"),
        Row(f"{name}: numbers that the command gives otherwise", sum(of_the_file.values()), "numbers", "== 0"),
    ]
