"""`make bench-gpu`: rows a second through the compiled scorer on a GPU, transfer included.

Beside each figure its share of the device's own rate, as a large float32 product measures it in
the same run. `python -m tests.bench.gpu cpu` measures the processor instead, to try the bench itself.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Calibration
from streamscore.core.scoring.scaler import NumericScale, Scaler
from streamscore.models.keras_scorer import KerasScorer, gpu_names
from tests.bench.in_process import best_of
from tests.bench.rows import Row, publish
from trainer.fitting.presets import default
from trainer.settings import TrainingSettings

BATCHES = (16, 64, 256, 1024, 4096, 65_536)
PRODUCT = {"gpu": 8192, "cpu": 2048}
ATTEMPTS = 20


def scorer(device: str) -> tuple[KerasScorer, int]:
    """The default network on the transaction's number of features, and the operations it does a row."""
    names = TRANSACTION.features.names
    columns = tuple(
        NumericScale(feature=name, center=0, scale=1, log_unit=1, log_mean=0, log_scale=1, missing=True)
        for name in names
    )
    width = 3 * len(columns)
    keras.utils.set_random_seed(0)
    scaler = Scaler(columns=columns, baseline=(0.0,) * width)
    network = default(scaler, TrainingSettings())
    operations = 2 * sum(int(np.prod(weight.shape)) for weight in network.trainable_weights if len(weight.shape) == 2)
    return KerasScorer(network, scaler, Calibration(), device), operations


def matmul_rate(device: str) -> float:
    """float32 operations a second of a square product, result waited for."""
    size = PRODUCT[device]
    with keras.device(f"{device}:0"):
        a = keras.ops.convert_to_tensor(np.random.default_rng(0).random((size, size), np.float32))

        def product() -> Any:
            # One number comes back, so that the transfer of the result is not what is measured.
            return np.asarray(keras.ops.sum(keras.ops.matmul(a, a)))

        product()
        return float(2 * size**3 / best_of(ATTEMPTS, product))


def measure(device: str) -> list[Row]:
    """Rows a second by batch size, and the share of the device's rate."""
    compiled, operations = scorer(device)
    compiled.warm()
    rate = matmul_rate(device)
    rows = [Row(f"{compiled.device}: float32 product", rate / 1e12, "TFLOP/s")]
    for size in BATCHES:
        matrix = np.random.default_rng(1).random((size, len(TRANSACTION.features.names)), np.float32)
        compiled.risks(matrix)
        per_second = size / best_of(ATTEMPTS, partial(compiled.risks, matrix))
        rows.append(Row(f"batch of {size}", per_second, "rows/s"))
        rows.append(Row(f"batch of {size}, share of the product's rate", per_second * operations / rate, "ratio"))
    return rows


def main() -> int:
    """Measure where there is a GPU, and say so where there is none."""
    device = "cpu" if "cpu" in sys.argv[1:] else "gpu"
    if device == "gpu" and not gpu_names():
        print(f"no GPU is seen by Keras on {keras.backend.backend()}: nothing was measured")
        return 0
    return publish(measure(device), Path("build/bench-gpu.json"))


if __name__ == "__main__":
    sys.exit(main())
