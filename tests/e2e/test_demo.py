"""The demo as one types it: what its last line says, and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.running import environment, until

pytestmark = pytest.mark.slow

# It simulates a past, trains two models and starts a worker before the first event flows.
FLOWING_SECONDS, END_SECONDS = 150.0, 90.0
MARK = "DEMO_OF_A_TEST"
FIGURES = {
    "sent", "scored", "dead_letters", "duplicates", "lost", "alerts", "events_per_second",
    "age_p50_ms", "age_p99_ms", "seconds_to_first_score", "model", "device",
}  # fmt: skip


class Demo(NamedTuple):
    """A running demo; the mark stands in its environment and in that of every process it starts."""

    process: subprocess.Popen[str]
    folder: Path
    mark: str

    def said(self) -> str:
        return (self.folder / "err").read_text()

    def alive(self) -> None:
        assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.said()[-2000:]}"

    def await_words(self, what: str, words: Callable[[str], bool]) -> None:
        until(lambda: words(self.said()), FLOWING_SECONDS, what, self.alive)

    def figures(self) -> dict[str, Any]:
        """Its last line, when it has ended well."""
        assert self.process.wait(FLOWING_SECONDS + END_SECONDS) == 0, self.said()[-2000:]
        return dict(json.loads((self.folder / "out").read_text().splitlines()[-1]))

    def processes(self) -> dict[int, str]:
        """What it started and still runs, itself included."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue  # it ended while we looked, or is not ours
        return {pid: command for pid, command in found.items() if command}


# The demo of a command that learns from less: what is asked of it is how it ends.
QUICK = (
    "from streamscore.cli import main as cli; from streamscore.demo import run as demo; "
    "demo.HISTORY = {'transaction': (15_000, 200), 'application': (5_000, 900)};"
)


@contextmanager
def demo(folder: Path, *arguments: str, quick: bool = False) -> Iterator[Demo]:
    """A demo that, with all it started, does not outlive the test."""
    mark = f"{MARK}_{uuid.uuid4().hex}"
    temporary = folder / "temporary"
    temporary.mkdir()
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        running = subprocess.Popen(
            [sys.executable, *(("-c", f"{QUICK} cli.main()") if quick else ("-m", "streamscore")), "demo", *arguments],
            stdout=out,
            stderr=err,
            text=True,
            env=environment() | {mark: "1", "TMPDIR": str(temporary)},
        )
    shown = Demo(running, folder, mark)
    try:
        yield shown
    finally:
        for pid in shown.processes():
            os.kill(pid, signal.SIGKILL)
        running.wait()


def nothing_left(shown: Demo) -> None:
    """Neither a process nor a file of the demo is there any more."""
    assert shown.processes() == {}
    assert list((shown.folder / "temporary").iterdir()) == []


def test_a_short_demo_counts_everything(tmp_path: Path) -> None:
    """Five seconds of it end with one line of JSON on standard output: all came out, once, with alerts."""
    with demo(tmp_path, "--duration", "5", "--plain") as shown:
        figures = shown.figures()
        nothing_left(shown)
    assert len((tmp_path / "out").read_text().splitlines()) == 1
    assert figures.keys() - {"unexpected"} == FIGURES
    assert (figures["lost"], figures["duplicates"], figures.get("unexpected", 0)) == (0, 0, 0), figures
    assert figures["sent"] > 1_000
    assert figures["sent"] == figures["scored"] + figures["dead_letters"]
    assert figures["alerts"] > 0
    assert figures["dead_letters"] > 0
    assert figures["events_per_second"] > 0
    assert 0 < figures["age_p50_ms"] <= figures["age_p99_ms"]
    assert figures["seconds_to_first_score"] > 0
    assert figures["model"].keys() == {"transaction", "application"}
    assert figures["device"].startswith(("cpu", "gpu"))


def test_an_interrupt_in_the_stream_ends_it_well(tmp_path: Path) -> None:
    """Ctrl-C while events flow still settles, counts and says so, and leaves nothing behind."""
    with demo(tmp_path, "--plain", quick=True) as shown:
        shown.await_words("events flow", lambda said: "scored" in said)
        assert len(shown.processes()) >= 3, "the demo, its broker and its worker"
        shown.process.send_signal(signal.SIGINT)
        figures = shown.figures()
        nothing_left(shown)
    assert figures["sent"] > 0
    assert (figures["lost"], figures["duplicates"], figures.get("unexpected", 0)) == (0, 0, 0), figures
