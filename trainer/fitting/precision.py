"""In which numbers a network computes while it is trained; its weights, its judging and its file are float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from trainer.fitting.embedding import LAID

FULL = "float32"


def compute_in(network: Any, precision: str) -> None:
    """Make every layer of a network compute in a Keras dtype policy; weights stay as they are."""
    for layer in network.layers:
        if hasattr(layer, "layers"):
            compute_in(layer, precision)
        elif layer.name not in LAID:
            # Pieces may be 0.0001 long, and bfloat16 tells 2.90 from 2.92 and no nearer.
            layer.dtype_policy = keras.DTypePolicy(precision)


@contextmanager
def in_full(network: Any, precision: str) -> Iterator[None]:
    """While it lasts a network computes in float32, as it will be served; then as before."""
    if precision != FULL:
        compute_in(network, FULL)
    yield
    if precision != FULL:
        compute_in(network, precision)
