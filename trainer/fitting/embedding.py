"""Each column as several numbers of its own, so that a network tells apart what lies near together.

Waves are "PLR", pieces are "PLE" with bins that the labels choose: Gorishniy, Rubachev, Babenko, On Embeddings for
Numerical Features in Tabular Deep Learning, 2022.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from streamscore.errors import SettingsError
from streamscore.models.attribution import OF_COLUMNS

# Into how many numbers a column's waves are mixed, or its pieces.
MIXED = 4
# Of each column: how many frequencies, and their spread at the start in waves per unit of a scaled column. On the
# earlier weeks of trainer/backtest/models.py a spread of 0.1 lost 0.003 of average precision to
# 0.3. A spread of 0.6, and twice as many waves, changed nothing.
WAVES, FREQUENCY = 8, 0.3
# Of each column: how many pieces. On three of those weeks 8, 12, 16 and 24 brought an untaught network to 0.7521,
# 0.7526, 0.7520 and 0.7516 of average precision, where waves brought 0.7478.
PIECES = 12
# Between these ends lie the pieces of a network that saw no rows yet.
REACH = 3.0
# Layers that are laid out: how far a value is above each lower end, and how steeply a piece rises from there.
LAID = ABOVE, SLOPE = "above_ends_of_pieces", "slope_of_pieces"
# Where their weights are.
ENDS, SLOPES = f"{ABOVE}/bias", f"{SLOPE}/kernel"


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
    width, shape = columns.shape[-1], (columns.shape[-1], PIECES)
    # Two layers: a difference of near numbers is exact, and a sum of a product and an offset of thousands is not.
    above = keras.layers.EinsumDense("bc,cw->bcw", shape, bias_axes="cw", trainable=False, name=ABOVE)
    times = keras.layers.EinsumDense("bcw,cw->bcw", shape, kernel_initializer="ones", trainable=False, name=SLOPE)
    pieces = keras.ops.clip(times(above(columns)), 0, 1)
    lower, slopes = _lines([np.linspace(-REACH, REACH, PIECES + 1)] * width)
    above.set_weights([np.ones(shape), -lower])
    times.set_weights([slopes])
    return _mixed(pieces)


def _mixed(numbers: Any) -> Any:
    """Those of each column, (rows, columns, numbers), mixed by weights of the column's own."""
    shape, name = (numbers.shape[1], MIXED), f"{OF_COLUMNS}_{keras.backend.get_uid(OF_COLUMNS)}"
    mixed = keras.layers.EinsumDense("bcw,cwm->bcm", shape, bias_axes="cm", activation="relu", name=name)
    return keras.layers.Flatten()(mixed(numbers))


def has_pieces(network: Any) -> bool:
    """Whether there is something to lay out in a network, or in one of several side by side."""
    return bool(_laid(network, SLOPES))


def lay_out(network: Any, ends: Sequence[np.ndarray]) -> None:
    """Give each of a network's columns, also of several networks side by side, pieces between ascending ends.

    SettingsError when the network lays out other columns than it is given.
    """
    lower, slopes = _lines(ends)
    for name, values in ((ENDS, -lower), (SLOPES, slopes)):
        for weights in _laid(network, name):
            if weights.shape != values.shape:
                raise SettingsError(f"in_pieces takes the {len(ends)} scaled columns, and was given {weights.shape[0]}")
            weights.assign(values)


def _laid(network: Any, name: str) -> list[Any]:
    return [weights for weights in network.weights if weights.path.endswith(name)]


def _lines(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Lower end and slope of each piece, float32 (columns, PIECES): it is 1 at its upper end.

    A column with fewer pieces has slopes of zero in the place of the others.
    """
    lower, slopes = np.zeros((2, len(columns), PIECES), np.float32)
    for column, ends in enumerate(columns):
        lower[column, : len(ends) - 1] = ends[:-1]
        slopes[column, : len(ends) - 1] = 1 / np.diff(ends)
    return lower, slopes
