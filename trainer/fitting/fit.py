"""Fit a network: AdamW on a warmed-up cosine, averaged weights, the best epoch by validation."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from streamscore.core.scoring.bundle import Calibration
from streamscore.errors import SettingsError
from trainer.data.part import CHUNK, Part, shuffled
from trainer.fitting.bin_edges import ends
from trainer.fitting.embedding import has_pieces, lay_out
from trainer.fitting.loss import loss_of
from trainer.fitting.precision import FULL, compute_in, in_full
from trainer.fitting.presets import mean_of, side_by_side
from trainer.fitting.steps import steps
from trainer.settings import TrainingSettings

# Rows that judge an epoch, at most: with one positive in a hundred, average precision of so many is sure to 0.005,
# and more would take from the epochs' time.
JUDGING = 1 << 20
# With more steps than 200 an epoch, the average spans the last 200; with fewer, a fifth of them,
# or the weights would stay near their start.
LONGEST_AVERAGE = 0.995


class Epoch(NamedTuple):
    """How training stands: epoch of epochs, loss, validation average precision, seconds left."""

    number: int
    epochs: int
    loss: float
    average_precision: float
    seconds_left: float


OnEpoch = Callable[[Epoch], None]
Block = tuple[Any, np.ndarray]  # scaled columns where the backend has them, labels


def fit(train: Part, validation: Part, settings: TrainingSettings, on_epoch: OnEpoch) -> Any:
    """The network with the averaged weights of its best epoch."""
    members = _compiled(train, settings)
    network = mean_of(members)
    best = BestEpoch(network, validation, settings, on_epoch)
    _fit(members, train, settings, [best])
    if settings.precision != FULL:
        compute_in(members, FULL)
    network.set_weights(best.weights)
    return network


def fit_all(train: Part, settings: TrainingSettings) -> Any:
    """The network with the averaged weights of the last epoch: how many there are was found on other rows."""
    members = _compiled(train, settings)
    _fit(members, train, settings, [])
    if settings.precision != FULL:
        compute_in(members, FULL)
    return mean_of(members)


def _compiled(train: Part, settings: TrainingSettings) -> Any:
    keras.utils.set_random_seed(settings.seed)
    members = side_by_side(train.scaler, settings)
    if has_pieces(members):
        lay_out(members, ends(train, settings))
    count = -(-len(train.rows) // _batch(train, settings))
    members.compile(optimizer=optimizer(count, settings), loss=loss_of(settings, float(train.labels.mean())))
    if settings.precision != FULL:
        compute_in(members, settings.precision)
    return members


def _fit(members: Any, train: Part, settings: TrainingSettings, judges: list[Any]) -> None:
    """Every member sees the same batches and its own loss, so that they differ by their starts and what they drop."""
    # The order matters: the averages are swapped in before the epoch is judged.
    callbacks = keras.callbacks.CallbackList(
        [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), *judges], model=members, epochs=settings.epochs
    )
    random, batch, learn = np.random.default_rng(settings.seed), _batch(train, settings), steps(members)
    for epoch in range(settings.epochs):
        callbacks.on_epoch_begin(epoch)
        members.reset_metrics()
        for scaled, labels in _ahead(_blocks(train, batch, random)):
            learn(scaled, np.repeat(labels.astype(np.float32)[:, None], settings.members, axis=1), batch)
        callbacks.on_epoch_end(epoch, {name: float(value) for name, value in members.get_metrics_result().items()})
        if members.stop_training:
            return


def _blocks(train: Part, batch: int, random: np.random.Generator) -> Iterator[Block]:
    """Every row once, scaled, in blocks of whole batches."""
    order, rows = shuffled(len(train.rows), random), batch * max(1, CHUNK // batch)
    for start in range(0, len(order), rows):
        some = train.take(order[start : start + rows])
        yield some.scaled(), some.labels


def _ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same blocks, each made while the one before is learnt from."""
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = beside.submit(next, blocks, None)
            yield block


def _batch(train: Part, settings: TrainingSettings) -> int:
    """Few rows make few steps: smaller batches then reach further in as many epochs."""
    rows = len(train.rows)
    return settings.batch or (32 if rows < 5_000 else 256 if rows < 100_000 else 1024)


def optimizer(steps: int, settings: TrainingSettings) -> Any:
    """AdamW whose rate warms up and falls along a cosine, over so many steps an epoch; it averages the weights."""
    total = steps * settings.epochs
    warm_up = max(1, total // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 100,
        decay_steps=max(1, total - warm_up),
        warmup_target=settings.learning_rate,
        warmup_steps=warm_up,
    )
    average = min(LONGEST_AVERAGE, 1 - 1 / max(2.0, steps / 5))
    adamw = keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay, use_ema=True, ema_momentum=average)
    # Gradients below 6e-8 are 0 in float16.
    return keras.optimizers.LossScaleOptimizer(adamw) if settings.precision == "mixed_float16" else adamw


class BestEpoch(keras.callbacks.Callback):  # type: ignore[misc]  # the framework asks for a subclass
    """Judges each epoch on the validation part and keeps the best weights; a tie keeps the earlier."""

    def __init__(self, network: Any, validation: Part, settings: TrainingSettings, on_epoch: OnEpoch) -> None:
        super().__init__()
        self._network, self._validation, self._on_epoch = network, validation.subsample(JUDGING), on_epoch
        self._epochs, self._patience = settings.epochs, settings.patience or settings.epochs
        self._best, self._best_epoch, self._precision = -1.0, 0, settings.precision
        self._started = time.monotonic()
        self.weights: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        with in_full(self._network, self._precision):
            found = logits(self._network, self._validation)
        if not np.isfinite(found).all():
            raise SettingsError(
                f"the fit failed in epoch {epoch + 1}, its numbers are infinite: lower learning_rate or weight_decay"
            )
        precision = float(average_precision_score(self._validation.labels, found))
        if precision > self._best:
            self._best, self._best_epoch, self.weights = precision, epoch, self._network.get_weights()
        if epoch - self._best_epoch >= self._patience:
            self.model.stop_training = True
        spent = time.monotonic() - self._started
        left = spent / (epoch + 1) * (self._epochs - epoch - 1)
        self._on_epoch(Epoch(epoch + 1, self._epochs, (logs or {}).get("loss", float("nan")), precision, left))


def logits(network: Any, part: Part) -> np.ndarray:
    """float64 (rows,): the network's own logits, before calibration."""
    found = [np.asarray(network(chunk.scaled(), training=False), np.float64)[:, 0] for chunk in part.chunks()]
    return np.concatenate(found) if found else np.empty(0)


def calibrate(validation_logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """Platt's method (1999) on the validation part: it cannot change the ranking.

    A slope that is not positive would; then only the mean is put right.
    """
    platt = LogisticRegression(C=1e6, max_iter=1000).fit(validation_logits[:, None], labels)
    slope, intercept = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    if slope > 0:
        return Calibration(slope=slope, intercept=intercept)
    rate = labels.mean()
    return Calibration(slope=1.0, intercept=float(np.log(rate / (1 - rate)) - validation_logits.mean()))
