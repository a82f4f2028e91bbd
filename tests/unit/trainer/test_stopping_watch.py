"""Ctrl-C ends `trainer watch` as SIGTERM does, with 0 and without a word of an error, whatever it is at."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.running import environment, until


@pytest.mark.parametrize("seconds", [2.0, None], ids=["while it starts", "when it serves"])
@pytest.mark.slow
def test_an_interrupt_ends_it_well(tmp_path: Path, seconds: float | None) -> None:
    """In the first seconds libraries are imported that do not survive an exception: it is noted, and then obeyed."""
    command = [sys.executable, "-m", "trainer", "watch", "--archive", str(tmp_path), "--event-type", "transaction"]
    said = tmp_path / "said"
    with said.open("w") as out:
        running = subprocess.Popen(
            [*command, "--store", str(tmp_path / "models"), "--port", "0"],
            stdout=out,
            stderr=out,
            env=environment(),
        )
    try:
        if seconds:
            time.sleep(seconds)
        else:
            until(lambda: "metrics on" in said.read_text(), 90, "it serves")
        running.send_signal(signal.SIGINT)
        assert running.wait(90) == 0, said.read_text()
    finally:
        running.kill()
        running.wait()
    assert "Traceback" not in said.read_text()
    assert "Aborted" not in said.read_text()
