"""Each column as several numbers of its own, so that a network tells apart what lies near together.

Waves are "PLR", pieces are "PLE" with bins that the labels choose: Gorishniy, Rubachev, Babenko, On Embeddings for
Numerical Features in Tabular Deep Learning, 2022.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# Into how many numbers a column's waves are mixed, or its pieces.
MIXED = 4
# Of each column: how many frequencies, and their spread at the start in waves per unit of a scaled column. On the
# earlier weeks of trainer/contestants.py a spread of 0.1 lost 0.003 of average precision to 0.3; 0.6, and twice as many
# waves, changed nothing.
WAVES, FREQUENCY = 8, 0.3
# Of each column: how many pieces. On three of those weeks 8, 12, 16 and 24 brought an untaught network to 0.7521,
# 0.7526, 0.7520 and 0.7516 of average precision, where waves brought 0.7478.
PIECES = 12
# Between these ends lie the pieces of a network that saw no rows yet.
REACH = 3.0
NAME = "pieces"


def in_waves(columns: Any) -> Any:
    """Sines and cosines of frequencies that are learnt: float32 (rows, columns · MIXED) of (rows, columns)."""
    width = columns.shape[-1]
    frequencies = keras.initializers.RandomNormal(stddev=2 * math.pi * FREQUENCY)
    angles = keras.layers.EinsumDense("bc,cw->bcw", (width, WAVES), kernel_initializer=frequencies)(columns)
    return _mixed(keras.ops.concatenate([keras.ops.sin(angles), keras.ops.cos(angles)], axis=-1))


def in_pieces(columns: Any) -> Any:
    """Pieces between ends that are laid out, not learnt: float32 (rows, columns · MIXED) of (rows, columns).

    A piece is 0 below its lower end, 1 above its upper end, and a straight line between.
    """
    width = columns.shape[-1]
    laid = keras.layers.EinsumDense("bc,cw->bcw", (width, PIECES), bias_axes="cw", trainable=False, name=NAME)
    pieces = keras.ops.clip(laid(columns), 0, 1)
    laid.set_weights(_lines([np.linspace(-REACH, REACH, PIECES + 1)] * width))
    return _mixed(pieces)


def _mixed(numbers: Any) -> Any:
    """Those of each column, (rows, columns, numbers), mixed by weights of the column's own."""
    shape = (numbers.shape[1], MIXED)
    mixed = keras.layers.EinsumDense("bcw,cwm->bcm", shape, bias_axes="cm", activation="relu")(numbers)
    return keras.layers.Flatten()(mixed)


def lay_out(network: Any, ends: Sequence[np.ndarray]) -> None:
    """Give each of a network's columns, also of several networks side by side, pieces between ascending ends."""
    kernel, bias = _lines(ends)
    for weights in network.non_trainable_weights:
        if weights.path.endswith(f"{NAME}/kernel"):
            weights.assign(kernel)
        elif weights.path.endswith(f"{NAME}/bias"):
            weights.assign(bias)


def _lines(columns: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Slope and offset of each piece, float32 (columns, PIECES): 0 at its lower end, 1 at its upper end.

    A column with fewer pieces has zeros in the place of the others.
    """
    slopes, offsets = np.zeros((2, len(columns), PIECES), np.float32)
    for column, ends in enumerate(columns):
        lower, length = ends[:-1], np.diff(ends)
        slopes[column, : len(lower)] = 1 / length
        offsets[column, : len(lower)] = -lower / length
    return [slopes, offsets]
