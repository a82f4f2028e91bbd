"""When a micro-batch is full, and which padded shape it gets."""

from typing import NamedTuple

# A compiled model is compiled per shape. Powers of four keep start-up at five compilations.
SHAPES = (16, 64, 256, 1024, 4096)


class BatchPolicy(NamedTuple):
    """A batch is scored when it has `max_events`, or its oldest event has waited `max_age` seconds."""

    max_events: int = 4096
    max_age: float = 0.02

    def due(self, size: int, oldest_age: float, idle: bool) -> bool:
        """Whether to score now: full, old enough, or nothing more is waiting to join."""
        return size > 0 and (size >= self.max_events or oldest_age >= self.max_age or idle)


def call_shapes(rows: int) -> list[int]:
    """The compiled shapes that a batch is cut into: full ones from the largest down, then one padded.

    3,125 rows are three calls of 1,024 and four of 16, not a call of 4,096 that is a quarter padding.
    """
    shapes = []
    while rows > SHAPES[0]:
        shapes.append(next(shape for shape in reversed(SHAPES) if shape <= rows))
        rows -= shapes[-1]
    return [*shapes, SHAPES[0]] if rows > 0 else shapes
