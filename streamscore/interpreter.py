"""How Python itself behaves while the loop turns: no collection of garbage by itself, quick turns between threads."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# The model's thread asks for the interpreter some ten times a batch; with Python's 5 ms each it would
# wait longer than it computes.
SWITCH_SECONDS = 0.0005


@contextmanager
def undisturbed() -> Iterator[None]:
    """Collect garbage only when told to; what is there already is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        gc.enable()
