"""When a micro-batch is scored, and the shape it is padded to."""

import pytest

from streamscore.core.batch import SHAPES, BatchPolicy, padded_shape

POLICY = BatchPolicy(max_events=100, max_age=0.5)


@pytest.mark.parametrize(
    ("size", "age", "idle", "due"),
    [
        (0, 9.0, True, False),
        (1, 0.0, True, True),
        (1, 0.49, False, False),
        (1, 0.5, False, True),
        (99, 0.0, False, False),
        (100, 0.0, False, True),
        (101, 0.0, False, True),
    ],
)
def test_due(size: int, age: float, idle: bool, due: bool) -> None:
    """A batch is due when it is full, old enough, or nothing more waits; an empty one never is."""
    assert POLICY.due(size, age, idle) is due


def test_shape_is_the_smallest_that_holds() -> None:
    """Each number of rows gets the smallest compiled shape that is not below it."""
    assert [padded_shape(rows) for rows in (0, 1, 16, 17, 64, 65, 1024, 4096)] == [16, 16, 16, 64, 64, 256, 1024, 4096]
    for rows in range(1, SHAPES[-1] + 1):
        shape = padded_shape(rows)
        assert shape in SHAPES
        assert rows <= shape
        assert not any(rows <= smaller for smaller in SHAPES if smaller < shape)


def test_beyond_the_largest_it_is_cut() -> None:
    """More rows than the largest shape get the largest."""
    assert padded_shape(SHAPES[-1] + 1) == SHAPES[-1]
