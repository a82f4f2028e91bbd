"""How Python itself behaves while the loop turns: no collection of garbage by itself, quick turns between threads."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

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


ABORTED = 130


class Stoppable(Protocol):
    """What finishes its work when it is told to stop."""

    def stop(self) -> None: ...


class Signals:
    """The first SIGTERM or SIGINT asks for a drain, the second ends the process at once."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.running: Stoppable | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._received)

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked.is_set():
            os._exit(ABORTED)
        self.asked.set()
        if self.running:
            self.running.stop()
