"""What asks a process to stop."""

import os
import signal
import threading
from types import FrameType
from typing import Protocol

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
