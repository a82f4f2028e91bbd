"""A worker with a sink of its own beside Kafka: every alert is a line of a file too.

python examples/own_sink.py streamscore.yaml alerts.ndjson
"""

import os
import signal
import sys
import time
from pathlib import Path

import streamscore


class AlertFile:
    """A sink that appends alerts to a file, one JSON object a line.

    Offsets are committed after `flush`, so an alert is in the file before its event counts as done. After a crash the
    events since the last commit are scored again, and their alerts are in the file twice, with the same `alert_id`.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._synced = True

    def publish(self, outcome: streamscore.Outcome) -> None:
        """Write the alerts of a batch; the operating system may still hold them."""
        for message in outcome.alerts:
            self._file.write((message.value or b"") + b"\n")
            self._synced = False

    def flush(self, timeout: float) -> bool:
        """Wait until the disk holds them."""
        if not self._synced:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._synced = True
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def worker(
    settings: streamscore.Settings, alerts: Path, source: streamscore.Source | None = None
) -> streamscore.Worker:
    """A worker on Kafka, or on a source of one's own, that writes its alerts to a file too."""
    return streamscore.Worker(settings, source=source, sinks=[AlertFile(alerts)])


def main(settings: str, alerts: str) -> None:
    """Run until SIGTERM or Ctrl-C."""
    running = worker(streamscore.load_settings(settings), Path(alerts))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop())
    began = time.monotonic()
    running.run()
    print(f"stopped after {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
