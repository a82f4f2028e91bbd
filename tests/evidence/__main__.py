"""`make evidence`: the long form of every guarantee, to build/evidence.json. `ONLY=name` runs one row.

Each row runs on an Apache Kafka of its own and takes at most 30 minutes.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.bench import archive_rate
from tests.bench.__main__ import champion
from tests.bench.rows import Row, publish
from tests.evidence import (
    archiving,
    asof,
    backtesting,
    delivery,
    large,
    online,
    pacing,
    published,
    real_input,
    shadowing,
    year,
)
from tests.integration.test_poison import poisoned
from tests.support import windows
from tests.support.apache_kafka.cluster import Cluster

BUILD = Path("build")
EVENTS, RATE = 200_000, 4000


class Setting(NamedTuple):
    """What a row works with."""

    kafka: Cluster
    store: Path
    folder: Path


def _delivery(story: Callable[..., delivery.Audit]) -> Callable[[Setting], list[Row]]:
    """The rows of one story of `tests/evidence/delivery.py`."""

    def told(setting: Setting) -> list[Row]:
        audit = story(setting.kafka, setting.store, setting.folder, EVENTS, RATE)
        print(f"  {audit}", flush=True)
        name = story.__name__.replace("_", " ")
        return [
            Row(f"{name}: events", audit.events, "events", f">= {EVENTS}"),
            Row(f"{name}: lost", audit.lost, "events", "== 0"),
            Row(f"{name}: duplicates", audit.duplicates, "events", f"<= {audit.allowed}"),
        ]

    return told


def _poison(setting: Setting) -> list[Row]:
    audit = poisoned(setting.kafka, setting.store, setting.folder, 100_000)
    print(f"  {audit}", flush=True)
    return [
        Row("poison: events", audit.events, "events", ">= 100000"),
        Row("poison: good neighbours lost", audit.good_lost, "events", "== 0"),
        Row("poison: without its own reason and untouched bytes", audit.wrong, "events", "== 0"),
    ]


def _real_input(setting: Setting) -> list[Row]:
    return real_input.rows(setting.kafka, setting.folder)


def _windows(setting: Setting) -> list[Row]:
    return windows.rows(setting.folder)


def _of_data(story: Callable[[Cluster, Path, Path], list[Row]]) -> Callable[[Setting], list[Row]]:
    """The rows of a story of the public data sets."""

    def told(setting: Setting) -> list[Row]:
        data = windows.data_folder()
        if data is None:
            raise SystemExit("this row needs the public data sets: make evidence ONLY=… DATA=folder")
        return story(setting.kafka, data, setting.folder)

    return told


def _archive(setting: Setting) -> list[Row]:
    return [*archiving.exactly_once(setting.kafka, setting.folder), *archive_rate.rows(setting.kafka, setting.folder)]


def _backtest(_: Cluster, data: Path, _folder: Path) -> list[Row]:
    return backtesting.handbook_rows(data)


def _applications(_: Cluster, data: Path, folder: Path) -> list[Row]:
    return backtesting.application_rows(data, folder)


def _as_of(setting: Setting) -> list[Row]:
    return asof.rows(setting.folder / "as-of")


def _shadow(setting: Setting) -> list[Row]:
    return shadowing.rows(setting.kafka, setting.store, setting.folder)


def _large(setting: Setting) -> list[Row]:
    return large.rows(setting.folder / "large")


def _year(setting: Setting) -> list[Row]:
    return year.rows(setting.folder / "year")


ROWS: dict[str, Callable[[Setting], list[Row]]] = {
    "kill-nine": _delivery(delivery.kill_nine),
    "two-three-two": _delivery(delivery.two_three_two),
    "broker-stopped": _delivery(delivery.broker_stopped),
    "stopped-under-load": _delivery(delivery.stopped_under_load),
    "poison": _poison,
    "real-input": _real_input,
    "windows": _windows,
    "online-offline": _of_data(online.rows),
    "windows-three-workers": _of_data(published.rows),
    "live-pacing": _of_data(pacing.rows),
    "backtest": _of_data(_backtest),
    "applications": _of_data(_applications),
    "as-of": _as_of,
    "year": _year,
    "large": _large,
    "archive-exactly-once": _archive,
    "shadow": _shadow,
}


def main() -> int:
    """Run the rows asked for; 1 when one does not hold."""
    asked = sys.argv[1:] or list(ROWS)
    if unknown := set(asked) - ROWS.keys():
        print(f"there is no {', '.join(unknown)}; there are {', '.join(ROWS)}")
        return 2
    rows: list[Row] = []
    for name in asked:
        start = time.monotonic()
        print(f"== {name}", flush=True)
        with Cluster() as kafka, tempfile.TemporaryDirectory() as folder:
            rows += ROWS[name](Setting(kafka, champion(Path(folder)), Path(folder)))
        print(f"  {time.monotonic() - start:.0f} s", flush=True)
    return publish([*_earlier({row.name for row in rows}), *rows], BUILD / "evidence.json")


def _earlier(replaced: set[str]) -> list[Row]:
    """Rows of earlier runs that this one did not repeat."""
    path = BUILD / "evidence.json"
    found = json.loads(path.read_text()) if path.exists() else []
    return [Row(r["name"], r["figure"], r["unit"], r["bar"]) for r in found if r["name"] not in replaced]


if __name__ == "__main__":
    sys.exit(main())
