"""The scaler as a graph of the Keras backend: the same one in the worker and in the trainer."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from keras import ops

from streamscore.core.events.feature import LARGEST
from streamscore.core.scoring.scaler import CategoryScale, NumericScale, QuantileScale, Scaler

CLIP = 3.0

# The numeric columns of a scaler by the feature each is of.
Numeric = Mapping[int, NumericScale | QuantileScale]
# Scaled columns, and of each the feature it is of and its rank among that feature's.
Placed = tuple[list[tuple[int, int]], Any]


def encode(matrix: Any, scaler: Scaler) -> Any:
    """Scaled columns, float32 (rows, scaled columns), of a feature matrix: see `NumericScale`.

    Columns of a kind are computed together and put into the scaler's order at the end: with operations of its own for
    each column, compiling them took longer than compiling the network.
    """
    coded = {j: column for j, column in enumerate(scaler.columns) if isinstance(column, CategoryScale)}
    numeric = {j: column for j, column in enumerate(scaler.columns) if not isinstance(column, CategoryScale)}
    x, missing = _present(_taken(matrix, numeric), numeric)
    parts = [
        *_first(x, numeric),
        ([(j, 1) for j in numeric], _logged(x, numeric)),
        ([(j, 2) for j in numeric], ops.cast(missing, "float32")),
        _codes(matrix, coded),
    ]
    places = [place for places, _ in parts for place in places]
    wanted = [i for i, (j, rank) in enumerate(places) if j in coded or rank < 2 or numeric[j].missing]
    return _taken(ops.concatenate([part for _, part in parts], axis=1), sorted(wanted, key=places.__getitem__))


def _taken(matrix: Any, columns: Iterable[int]) -> Any:
    wanted = [*columns]
    return matrix if wanted == [*range(matrix.shape[1])] else ops.take(matrix, np.array(wanted, np.int32), axis=1)


def _present(x: Any, columns: Numeric) -> tuple[Any, Any]:
    """Numeric columns with their centers for what is missing, and where that is."""
    missing = ops.isnan(x)
    center = np.array([column.center for column in columns.values()], np.float32)
    return ops.clip(ops.where(missing, center, x), -LARGEST, LARGEST), missing


def _first(x: Any, columns: Numeric) -> Iterator[Placed]:
    """The first scaled column of each numeric one."""
    plain = [(i, j, column) for i, (j, column) in enumerate(columns.items()) if isinstance(column, NumericScale)]
    center, scale = (np.array([getattr(c, name) for *_, c in plain], np.float32) for name in ("center", "scale"))
    z = ops.clip((_taken(x, [i for i, *_ in plain]) - center) / scale, -LARGEST, LARGEST)
    yield [(j, 0) for _, j, _ in plain], z / ops.sqrt(1.0 + ops.square(z / CLIP))
    for i, (j, column) in enumerate(columns.items()):
        if isinstance(column, QuantileScale):
            yield [(j, 0)], _place(x[:, i : i + 1], np.array(column.knots, np.float32))


def _logged(x: Any, columns: Numeric) -> Any:
    unit, mean, scale = (
        np.array([getattr(column, f"log_{name}") for column in columns.values()], np.float32)
        for name in ("unit", "mean", "scale")
    )
    # log(1 + x), not log1p: exporters do not know the latter.
    return (ops.sign(x) * ops.log(1.0 + ops.abs(x) / unit) - mean) / scale


def _codes(matrix: Any, columns: Mapping[int, CategoryScale]) -> Placed:
    """A scaled column for each category of each categorical one."""
    places = [(j, code) for j, column in columns.items() for code in range(column.categories)]
    codes = np.array([code for _, code in places], np.float32)
    return places, ops.cast(ops.equal(_taken(matrix, [j for j, _ in places]), codes), "float32")


def _place(x: Any, knots: np.ndarray) -> Any:
    """Where x lies among rising knots, linear between two: of unit variance where all places are equally frequent."""
    passed = ops.clip((x - knots[:-1]) / np.diff(knots), 0.0, 1.0)
    return (ops.mean(passed, axis=1, keepdims=True) - 0.5) * np.float32(12**0.5)
