"""Many training steps in one compiled call, on either backend: a call for each step would cost a tenth of its time."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

# Scaled columns, answers of every member, and the rows of a batch.
Steps = Callable[[Any, np.ndarray, int], None]


def steps(members: Any) -> Steps:
    """The function that trains compiled `members` on rows, batch by batch in their order; the last batch may be short.

    A step is Keras' own `train_step`, so loss, penalties, averages and the metrics are those of `fit`.
    """
    members.optimizer.build(members.trainable_variables)
    return _jax(members) if keras.backend.backend() == "jax" else _tensorflow(members)


def _tensorflow(members: Any) -> Steps:
    import tensorflow as tf  # noqa: PLC0415  only the backend in use is installed

    width, answered = members.input_shape[-1], members.output_shape[-1]

    def block(scaled: Any, answers: Any, batch: Any) -> None:
        rows = tf.shape(scaled)[0]

        def step(start: Any) -> Any:
            members.train_step((scaled[start : start + batch], answers[start : start + batch]))
            return (start + batch,)

        tf.while_loop(lambda start: start < rows, step, (0,), parallel_iterations=1)

    shapes = [tf.TensorSpec((None, width)), tf.TensorSpec((None, answered)), tf.TensorSpec((), tf.int32)]
    compiled = tf.function(block, input_signature=shapes, autograph=False)
    return lambda scaled, answers, batch: compiled(scaled, answers, np.int32(batch))


def _jax(members: Any) -> Steps:
    import jax  # noqa: PLC0415  only the backend in use is installed

    def scanned(state: Any, batches: Any) -> Any:
        return jax.lax.scan(lambda before, batch: (members.train_step(before, batch)[1], None), state, batches)[0]

    compiled = jax.jit(scanned, donate_argnums=0)
    variables = (
        members.trainable_variables,
        members.non_trainable_variables,
        members.optimizer.variables,
        members.metrics_variables,
    )

    def block(scaled: Any, answers: np.ndarray, batch: int) -> None:
        state = tuple([variable.value for variable in group] for group in variables)
        full = len(scaled) // batch * batch
        for size, part in ((batch, slice(full)), (len(scaled) - full, slice(full, None))):
            if len(answers[part]):
                batches = tuple(rows[part].reshape(-1, size, rows.shape[1]) for rows in (scaled, answers))
                state = compiled(state, batches)
        for group, values in zip(variables, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)

    return block
