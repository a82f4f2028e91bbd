"""Whether a worker was asked to stop, and until when it may wait for acknowledgements."""

import time


class Stopping:
    """One request to stop. `ask` is safe from a signal handler."""

    def __init__(self, drain_seconds: float) -> None:
        self._drain_seconds = drain_seconds
        self._until = float("inf")
        self.asked = False

    def ask(self) -> None:
        """Ask to drain: finish what is in hand within `drain_seconds`."""
        self.asked = True
        self._until = time.monotonic() + self._drain_seconds

    @property
    def out_of_time(self) -> bool:
        """Whether draining took too long."""
        return self.asked and time.monotonic() > self._until
