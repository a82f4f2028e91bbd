"""When a micro-batch is full, and which padded shape it gets."""

from typing import NamedTuple

# A compiled model is compiled per shape. Powers of four waste at most three quarters of a small
# batch, where the call costs the same anyway, and keep start-up at five compilations.
SHAPES = (16, 64, 256, 1024, 4096)


class BatchPolicy(NamedTuple):
    """A batch is scored when it has `max_events`, or its oldest event has waited `max_age` seconds."""

    max_events: int = 4096
    max_age: float = 0.02

    def due(self, size: int, oldest_age: float, idle: bool) -> bool:
        """Whether to score now: full, old enough, or nothing more is waiting to join."""
        return size > 0 and (size >= self.max_events or oldest_age >= self.max_age or idle)


def padded_shape(rows: int) -> int:
    """The smallest compiled shape that holds `rows`; batches beyond the largest are cut by it."""
    return next((shape for shape in SHAPES if rows <= shape), SHAPES[-1])
