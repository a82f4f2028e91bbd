"""What pseudonyms cost: the archiver's rows and a worker's history with a key and without, in turn."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median

from streamscore.archive.routes import routes
from streamscore.core.events.aggregate import Aggregate
from streamscore.core.events.decode import Limits, decode
from streamscore.core.events.feature import Feature, FeatureSet, as_is
from streamscore.core.events.record import Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.history.entity_history import Bounds
from streamscore.core.privacy.pseudonym import Pseudonyms
from streamscore.core.scoring.stream_history import StreamHistory
from streamscore.process import undisturbed
from streamscore.settings.schema import Settings
from tests.bench.on_kafka import events
from tests.bench.rows import Row
from tests.support.samples import StubScorer, bundle, by_amount

ROWS, BATCH, ROUNDS = 200_000, 4096, 9
KEY = "0123456789abcdef"
NOW = datetime(2100, 1, 1, tzinfo=UTC)
COUNTS = tuple(Aggregate(f"{name}_count", "count", (name,), timedelta(days=1)) for name in TRANSACTION.entities)
COUNTED = replace(
    TRANSACTION,
    name="counted",
    history=COUNTS,
    features=FeatureSet(tuple(Feature(count.name, (count.name,), as_is, count.name) for count in COUNTS)),
)


def measure() -> list[Row]:
    """Two entities an event, nearly all of them different within a batch: what costs most."""
    records = [Record("a", 0, row, 0, None, value, None) for row, (_, value) in enumerate(events(ROWS))]
    batches = [records[start : start + BATCH] for start in range(0, ROWS, BATCH)]
    decoded = [decode(COUNTED, batch, NOW, Limits()) for batch in batches]
    model = bundle(COUNTED, StubScorer(by_amount))

    def archived(key: str | None) -> None:
        rows = routes(Settings.model_validate({"inputs": {"a": "transaction"}, "pseudonyms": {"key": key}}))["a"].rows
        for batch in batches:
            rows(batch, NOW)

    def remembered(key: str | None) -> None:
        history = StreamHistory(COUNTED, Bounds(), {("a", 0): 0}, Pseudonyms.of(key) if key else None)
        for entries in decoded:
            history.prepare(entries, model, {("a", 0): 0})

    with undisturbed():
        return [*_rows("archiver, from records to rows", archived), *_rows("worker, fold and ask", remembered)]


def _rows(name: str, work: Callable[[str | None], None]) -> list[Row]:
    work(KEY)
    pairs = [(_seconds(work, None), _seconds(work, KEY)) for _ in range(ROUNDS)]
    return [
        Row(f"pseudonyms: {name}, without a key", _micros([plain for plain, _ in pairs]), "µs/event"),
        Row(f"pseudonyms: {name}, more with one", _micros([keyed - plain for plain, keyed in pairs]), "µs/event"),
        Row(f"pseudonyms: {name}, ratio", median(keyed / plain for plain, keyed in pairs), "ratio"),
    ]


def _seconds(work: Callable[[str | None], None], key: str | None) -> float:
    start = time.perf_counter()
    work(key)
    return time.perf_counter() - start


def _micros(seconds: Sequence[float]) -> float:
    return median(seconds) / ROWS * 1e6
