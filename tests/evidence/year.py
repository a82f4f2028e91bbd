"""A simulated year of retraining: a world that drifts, a month whose feed is broken, and a model that is never worse.

Each Monday a trainer looks at what the archive holds by then. What it promoted scores the week that follows,
and so does the first model of all, which is never replaced.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from streamscore.archive.schemas import schemas
from streamscore.core.events.field import column
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Bundle
from streamscore.files.output import table
from streamscore.models.load import load
from streamscore.models.store import ModelStore
from streamscore.simulator import streams as simulator
from tests.bench.rows import Row
from tests.support.running import START
from tests.support.trained import one_shape
from trainer.evaluation.bootstrap import Interval, Pair, difference
from trainer.metrics import TrainerMetrics
from trainer.settings import GateSettings, TrainingSettings
from trainer.watch import Watch, retrained

DAY = 86_400_000_000  # µs
WEEK = 7 * DAY
# The first training comes when there are events enough; the broken month is the eighth.
FIRST_WEEK, WEEKS, MONTH = 14, 52, 30 * DAY
BROKEN = (START + 7 * MONTH, START + 8 * MONTH)
# What a fraud is in the end that was none in the beginning: no sign of an honest customer's trouble either.
NEW_KIND = {"channel": "contactless", "authentication": "none", "merchant_category": "5912"}
SETTINGS = TrainingSettings(preset="dense", epochs=6, batch=256, window_days=90, gates=GateSettings(positives=60))


class Year(NamedTuple):
    """Events of a year as columns, which of them are frauds, and when that became known (µs)."""

    columns: dict[str, np.ndarray]
    fraud: np.ndarray
    labelled_at: np.ndarray

    @property
    def at(self) -> np.ndarray:
        return self.columns["occurred_at"]

    def between(self, begin: int, end: int) -> slice:
        return slice(*np.searchsorted(self.at, [begin, end]).tolist())


class Told(NamedTuple):
    """The risks that both models gave to each event from the first training on, and each week's verdict and reasons."""

    rows: slice
    running: np.ndarray
    frozen: np.ndarray
    verdicts: list[tuple[str, str]]


def year(per_day: int, seed: int = 3) -> Year:
    """Payments of a year in which prices rise by half, and ever more frauds are of a kind that was not there before."""
    made = simulator.transactions(per_day * 365, START, per_day / 86_400, seed)
    columns, draw = dict(made.columns), np.random.default_rng(seed)
    gone = (columns["occurred_at"] - START) / (365 * DAY)
    columns["amount"] = np.round(columns["amount"] * (1 + 0.5 * gone), 2)
    learnt = made.label & (draw.random(len(gone)) < 0.9 * gone)
    for name, value in NEW_KIND.items():
        columns[name] = np.where(learnt, value, columns[name])
    broken = slice(*np.searchsorted(columns["occurred_at"], BROKEN).tolist())
    columns["account_age"] = columns["account_age"].copy()
    columns["account_age"][broken] = 0  # a feed that lost a field
    return Year(columns, made.label, made.labelled_at)


def archived(world: Year, folder: Path, begin: int, end: int) -> None:
    """A week of the archive: its events, and the labels that became known in it, shifted in the broken month."""
    schema, name = schemas(TRANSACTION), f"{begin}.parquet"
    rows = world.between(begin, end)
    events = {field: values[rows] for field, values in world.columns.items()}
    _write(folder / "events" / name, schema.events, events)
    known = np.flatnonzero((world.labelled_at >= begin) & (world.labelled_at < end))
    about = np.where((world.at[known] >= BROKEN[0]) & (world.at[known] < BROKEN[1]), known + 1, known) % len(world.at)
    labels = {field: values[about] for field, values in world.columns.items()}
    _write(
        folder / "labels" / name,
        schema.labels,
        labels | {"label": world.fraud[known], "labelled_at": world.labelled_at[known]},
    )


def _write(path: Path, schema: object, columns: dict[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count = len(columns["event_id"])
    place = {
        "kafka_topic": np.full(count, "events", object),
        "kafka_partition": np.zeros(count, np.int32),
        "kafka_offset": np.arange(count),
        "kafka_timestamp": columns["occurred_at"] // 1000,
    }
    pq.write_table(table(schema, columns | place), path)


def risks(bundle: Bundle, world: Year, rows: slice) -> np.ndarray:
    """What a model says of events."""
    columns = {f.name: _column(f, world.columns[f.name][rows]) for f in TRANSACTION.fields if f.name in world.columns}
    count = rows.stop - rows.start
    return bundle.scorer.risks(bundle.features.matrix(columns, count))


def _column(field: object, values: np.ndarray) -> np.ndarray:
    kind = getattr(field, "kind", "")
    return values if kind in ("number", "time") else column(field, values.tolist())  # type: ignore[arg-type]


def lived(world: Year, folder: Path, weeks: Sequence[int], settings: TrainingSettings = SETTINGS) -> Told:
    """Retrain every week of some; score each week that follows with both models."""
    store = ModelStore(str(folder / "models"), TRANSACTION.name)
    what = Watch(str(folder / "archive"), TRANSACTION, store, settings, timedelta(days=7))
    for week in range(weeks[0]):
        archived(world, folder / "archive", START + week * WEEK, START + (week + 1) * WEEK)
    metrics = TrainerMetrics()
    running: list[tuple[np.ndarray, np.ndarray]] = []
    verdicts: list[tuple[str, str]] = []
    loaded: dict[str, Bundle] = {}
    for week in weeks:
        begin = START + week * WEEK
        found = retrained(what, metrics, datetime.fromtimestamp(begin / 1e6, UTC))
        judgement = found.metrics["judgement"] if found else {"verdict": "failed", "reasons": ["no model was trained"]}
        verdicts.append((str(judgement["verdict"]), "; ".join(judgement["reasons"])))
        print(f"  week {week}: {verdicts[-1][0]}: {verdicts[-1][1]}", flush=True)
        champion = store.alias("champion") or ""
        if champion not in loaded:
            loaded = {**dict(list(loaded.items())[:1]), champion: load(store, champion, TRANSACTION, "cpu")}
        first, now = next(iter(loaded.values())), loaded[champion]
        rows = world.between(begin, begin + WEEK)
        running.append((risks(now, world, rows), risks(first, world, rows)))
        archived(world, folder / "archive", begin, begin + WEEK)
    both = [np.concatenate(parts) for parts in zip(*running, strict=True)]
    whole = world.between(START + weeks[0] * WEEK, START + (weeks[-1] + 1) * WEEK)
    return Told(whole, both[0], both[1], verdicts)


def months(world: Year, told: Told) -> list[Interval]:
    """The average precision of the running model less that of the frozen one, for each month, on true answers."""
    at, found = world.at[told.rows], []
    for begin in range(int(at[0]), int(at[-1]) - MONTH // 2, MONTH):
        rows = (at >= begin) & (at < begin + MONTH)
        blocks = world.columns["customer_id"][told.rows][rows]
        found.append(difference([Pair(world.fraud[told.rows][rows], told.running[rows], told.frozen[rows], blocks)]))
    return found


def drawn(found: Sequence[Interval], path: Path) -> None:
    """The months as a picture: each difference with its interval, the broken month marked."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    months = np.arange(1, len(found) + 1)
    middle = np.array([month.estimate for month in found])
    bars = np.abs(np.array([[month.low, month.high] for month in found]).T - middle)
    axes.errorbar(months, middle, bars, fmt="o", capsize=4, color="#1f6f8b")
    axes.axhline(0, color="#888888", linewidth=1)
    begin = (BROKEN[0] - START) / MONTH - FIRST_WEEK * 7 / 30 + 0.5
    axes.axvspan(begin, begin + 1, color="#d1495b", alpha=0.15, label="the feed is broken")
    axes.set(xlabel="month after the first model", ylabel="average precision gained", xticks=months)
    axes.legend(loc="upper left", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def rows(folder: Path) -> list[Row]:
    """The rows of `make evidence ONLY=year`."""
    world = year(1500)
    with one_shape():
        told = lived(world, folder, range(FIRST_WEEK, WEEKS))
    found = months(world, told)
    for number, month in enumerate(found):
        print(f"  month {number}: {month.estimate:+.4f} [{month.low:+.4f}, {month.high:+.4f}]", flush=True)
    drawn(found, Path("build/year.svg"))
    counts, mean = Counter(verdict for verdict, _ in told.verdicts), float(np.mean([m.estimate for m in found]))
    broken = [reason for verdict, reason in told.verdicts if verdict == "reject" and "account_age" in reason]
    return [
        Row("year: models promoted", counts["promote"], "models", ">= 5"),
        Row("year: models refused for the broken feed, in words", len(broken), "models", ">= 1"),
        Row("year: runs that failed", counts["failed"], "runs", "== 0"),
        Row("year: worst lower bound of a month, running less frozen", min(m.low for m in found), "AP", ">= -0.02"),
        Row("year: mean of the months, running less frozen", mean, "AP", ">= 0.001"),
    ]
