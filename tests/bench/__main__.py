"""`make bench`: every figure with its bar, to build/bench.json; fails when a bar does not hold."""

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from streamscore.core.events.event_type import EventType
from streamscore.core.events.transaction import TRANSACTION
from streamscore.models.load import load
from streamscore.models.store import ModelStore
from streamscore.simulator.past import write_simulated
from streamscore.simulator.streams import transactions
from tests.bench import history, hot, in_process, naming, on_kafka, snapshot
from tests.bench.remembering import REMEMBERING
from tests.bench.rows import publish
from tests.support.running import START
from trainer.promotion.placement import place
from trainer.run import Job, Progress, Source, train_once
from trainer.settings import TrainingSettings

BUILD = Path("build")


def champion(folder: Path, *event_types: EventType) -> Path:
    """A store with models of the default network, trained on enough for sensible thresholds."""
    drawn = transactions(100_000, START, 0.01, 5)
    for event_type in event_types or (TRANSACTION,):
        archive, store = folder / "archive" / event_type.name, ModelStore(str(folder / "models"), event_type.name)
        write_simulated(archive, event_type, drawn, int(drawn.labelled_at.max()), "past")
        told = Progress(lambda _: None, lambda _: None)
        job = Job(event_type, store, TrainingSettings(epochs=3), datetime.now(UTC))
        manifest = train_once(Source(str(archive)), job, told)
        place(store, manifest, promote=True)
    return folder / "models"


def main() -> int:
    """Measure and publish; 1 when a bar does not hold."""
    with tempfile.TemporaryDirectory() as folder:
        print("  training the model", flush=True)
        store = champion(Path(folder), TRANSACTION, REMEMBERING)
        rows = on_kafka.measure(store)
        models = ModelStore(str(store), "transaction")
        version = models.alias("champion") or ""
        rows += in_process.measure(lambda: load(models, version, TRANSACTION, "cpu"))
    rows += [*history.measure(), *hot.measure(), *snapshot.measure(), *naming.measure()]
    print(f"\n{os.cpu_count()} processors")
    return publish(rows, BUILD / "bench.json")


if __name__ == "__main__":
    sys.exit(main())
