"""A training on an archive that does not fit into memory, beside the bare training step that it consists of.

Both are processes of their own, one after the other: a bare one, `trainer once`, and a bare one again.
"""

import os
import re
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from streamscore.cli.options import prepare_process
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.scaler import Scaler
from streamscore.simulator import streams as simulator
from streamscore.simulator.past import write_simulated
from tests.bench.rows import Row
from tests.support.running import START, environment

EVENTS, DAYS = 20_000_000, 365
# Events made and written at a time, and those that the bare step goes round on.
PART, RESIDENT = 1 << 19, 1 << 17
BATCH, EPOCHS = 1024, 2
BARE_SECONDS = 60.0


class Fit(NamedTuple):
    """What one run of the trainer took: rows it learnt from in an epoch, seconds of the fit, resident memory in GB."""

    rows: int
    seconds: float
    peak: float


def archived(folder: Path, events: int) -> Path:
    """An archive of payments of a year, all of them answered."""
    start, rate = START, events / (DAYS * 86_400)
    for first in range(0, events, PART):
        made = simulator.transactions(min(PART, events - first), start, rate, 1, first)
        write_simulated(folder, TRANSACTION, made, 1 << 62, f"part-{first // PART}")
        start = int(made.columns["occurred_at"][-1])
    return folder


def trained(archive: Path, store: Path) -> Fit:
    """Two epochs by `trainer once`; the fit begins when it is told, and ends with its last epoch."""
    command = [sys.executable, "-m", "trainer", "once", "--event-type", "transaction", "--archive", str(archive)]
    settings = [f"--set={name}" for name in (f"epochs={EPOCHS}", f"batch={BATCH}")]
    told: list[tuple[float, str]] = []
    with subprocess.Popen(
        [*command, "--store", str(store), *settings], stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        for line in process.stderr or ():
            told.append((time.monotonic(), line.rstrip()))
            print(f"  {line.rstrip()}", flush=True)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, told[-1:]
    began = next((at, line) for at, line in told if line.startswith("fitting"))
    ended = next(at for at, line in told if line.startswith(f"  epoch {EPOCHS}/{EPOCHS}"))
    rows = int(re.findall(r"([\d,]+) events", began[1])[0].replace(",", ""))
    return Fit(rows, ended - began[0], usage.ru_maxrss * 1024 / 1e9)


def bare_rate(archive: Path, seconds: float) -> float:
    """Rows a second of the bare step, in a process like the trainer's."""
    command = [sys.executable, "-m", "tests.evidence.large", str(archive), str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout)


def bare(archive: Path, seconds: float) -> float:
    """The same network, optimizer, loss and batch, one compiled step a call, over scaled rows that are all there."""
    import keras  # noqa: PLC0415  after the environment that it reads
    import tensorflow as tf  # noqa: PLC0415

    from trainer.fitting.fit import optimizer  # noqa: PLC0415
    from trainer.fitting.presets import side_by_side  # noqa: PLC0415
    from trainer.settings import TrainingSettings  # noqa: PLC0415

    scaler, *values = _resident(archive)
    columns, answers = map(tf.constant, values)
    network = side_by_side(scaler, TrainingSettings())
    adam, loss = optimizer(10_000, TrainingSettings()), keras.losses.BinaryCrossentropy(from_logits=True)
    adam.build(network.trainable_variables)

    def step(start: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            found = loss(answers[start : start + BATCH], network(columns[start : start + BATCH], training=True))
        gradients = tape.gradient(found, network.trainable_variables)
        adam.apply_gradients(zip(gradients, network.trainable_variables, strict=True))

    compiled = tf.function(step, input_signature=[tf.TensorSpec((), tf.int32)], autograph=False)
    compiled(np.int32(0))
    began = time.monotonic()
    for number in count(1):
        compiled(np.int32(number * BATCH % RESIDENT))
        if (spent := time.monotonic() - began) > seconds:
            return number * BATCH / spent
    raise AssertionError


def _resident(archive: Path) -> tuple[Scaler, np.ndarray, np.ndarray]:
    """A scaler, scaled columns and answers of the first events of an archive."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    from streamscore.archive.read import columns  # noqa: PLC0415
    from trainer.fitting.scaling import fit_scaler, scaled  # noqa: PLC0415

    events = pq.ParquetFile(archive / "events" / "part-0.parquet").read().slice(0, RESIDENT)
    matrix = TRANSACTION.features.matrix(columns(TRANSACTION, events), events.num_rows)
    scaler = fit_scaler(TRANSACTION.features, matrix)
    some, answers = scaled(scaler, matrix), np.random.default_rng(0).random((RESIDENT, 1)) < 0.01
    return scaler, np.resize(some, (RESIDENT, some.shape[1])), answers.astype(np.float32)


def rows(folder: Path, events: int = EVENTS, seconds: float = BARE_SECONDS) -> list[Row]:
    """The rows of `make evidence ONLY=large`."""
    archive = archived(folder / "archive", events)
    before = bare_rate(archive, seconds)
    fit = trained(archive, folder / "models")
    after = bare_rate(archive, seconds)
    rate = EPOCHS * fit.rows / fit.seconds
    return [
        Row("large: events of the archive", events, "events", f">= {events}"),
        Row("large: peak resident, reading, fit, validation and judgement", fit.peak, "GB", "<= 4"),
        Row("large: whole fit, of a bare compiled step", rate / ((before + after) / 2), "", ">= 0.85"),
        Row("large: whole fit", rate, "events/s"),
        Row("large: bare step before", before, "events/s"),
        Row("large: bare step after", after, "events/s"),
    ]


if __name__ == "__main__":
    prepare_process()
    print(bare(Path(sys.argv[1]), float(sys.argv[2])))
