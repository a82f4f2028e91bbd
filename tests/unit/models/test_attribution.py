"""Reasons of networks that embed columns, also of those that people may build: they add up and name the column."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from streamscore.models.attribution import EXPLAINED_ROWS, halves, integrated
from trainer.fitting.embedding import in_pieces, in_waves

WIDTH = 6
ROWS = np.random.default_rng(1).normal(0, 1, (EXPLAINED_ROWS, WIDTH)).astype(np.float32)
BASELINE = np.zeros(WIDTH, np.float32)


def network_of(body: Callable[[Any], Any], seed: int = 0) -> Any:
    """A network of random weights, of which the last layer sees what a body makes of the columns."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((WIDTH,))
    hidden = keras.layers.Dense(16, activation="silu")(body(inputs))
    return keras.Model(inputs, keras.layers.Dense(1)(hidden))


def beside(*of: Any) -> Any:
    return keras.layers.Concatenate()(list(of))


def shared(columns: Any) -> Any:
    """One sub-network that sees the columns and, a second time, the columns with the other sign."""
    inputs = keras.Input((WIDTH,))
    both = keras.Model(inputs, in_waves(inputs))
    return beside(both(columns), both(-columns))


def within(columns: Any) -> Any:
    inputs = keras.Input((WIDTH,))
    return keras.Model(inputs, in_pieces(inputs))(columns)


# What is made of the columns, and into how many parts the network's numbers fall: the columns, and each layer's.
BODIES = {
    "plain": (lambda x: x, 1),
    "waves": (lambda x: beside(x, in_waves(x)), 2),
    "waves alone": (in_waves, 2),
    "pieces and waves": (lambda x: beside(in_pieces(x), in_waves(x)), 3),
    "waves twice": (lambda x: beside(in_waves(x), in_waves(x)), 3),
    "a network within": (within, 2),
    "one that is shared": (shared, 3),
    # Of these the numbers are not each column's own: the path is taken in the columns, between whose nodes waves turn.
    "one column": (lambda x: beside(x, in_waves(x[:, :1])), 1),
    "columns turned round": (lambda x: beside(x, in_waves(x[:, ::-1])), 1),
    "mixed columns": (lambda x: in_waves(keras.layers.Dense(WIDTH)(x)), 1),
}


@pytest.mark.parametrize("name", BODIES)
def test_reasons_add_up(name: str) -> None:
    """To the difference of the network's own logits, whatever was made of the columns."""
    body, parts = BODIES[name]
    network = network_of(body)
    cut = halves(network)
    assert len(cut.numbers(ROWS)) == parts
    differences = np.asarray(network(ROWS) - network(BASELINE[None, :]))[:, 0]
    assert np.ptp(differences) > 0.1
    shares = np.asarray(integrated(cut, ROWS, BASELINE))
    rough = parts == 1 and name != "plain"
    assert np.abs(shares.sum(axis=1) - differences).max() < (0.1 if rough else 1e-5)


@pytest.mark.parametrize("name", BODIES)
def test_the_column_that_moves_is_the_one_named(name: str) -> None:
    """Where a row differs from the baseline in one column, this one has all of it."""
    rows = np.zeros((EXPLAINED_ROWS, WIDTH), np.float32)
    moved = np.arange(EXPLAINED_ROWS) % WIDTH
    rows[np.arange(EXPLAINED_ROWS), moved] = np.linspace(-2, 2, EXPLAINED_ROWS)
    shares = np.asarray(integrated(halves(network_of(BODIES[name][0])), rows, BASELINE))
    others = shares.copy()
    others[np.arange(EXPLAINED_ROWS), moved] = 0
    assert np.abs(others).max() < 1e-6
    assert name == "one column" or np.abs(shares).sum(axis=0).min() > 0


def test_a_network_is_left_as_it_is() -> None:
    """Its weights, and what it says."""
    network = network_of(in_waves)
    before, said = network.get_weights(), np.asarray(network(ROWS))
    integrated(halves(network), ROWS, BASELINE)
    assert all(np.array_equal(one, other) for one, other in zip(before, network.get_weights(), strict=True))
    assert np.array_equal(np.asarray(network(ROWS)), said)
