"""When a micro-batch is scored, and the shape it is padded to."""

import pytest

from streamscore.core.scoring.batch import SHAPES, BatchPolicy, call_shapes

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


def test_rows_are_cut_into_full_shapes_and_one_padded() -> None:
    """Every row is in a call, every call but the last is full, and the last wastes less than the smallest shape."""
    assert [call_shapes(rows) for rows in (0, 1, 16, 17)] == [[], [16], [16], [16, 16]]
    assert call_shapes(3125) == [1024, 1024, 1024, 16, 16, 16, 16]
    for rows in range(1, 2 * SHAPES[-1]):
        shapes = call_shapes(rows)
        assert set(shapes) <= set(SHAPES)
        assert 0 <= sum(shapes) - rows < SHAPES[0]
        assert shapes == sorted(shapes, reverse=True)
