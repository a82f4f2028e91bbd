"""Commands of ours as processes that need not import their libraries: a start takes a tenth of a second, not seven.

Each is a process of its own, with its own signals, environment and exit code. It is forked from a server that has
imported what the commands import, and has done nothing else. What a start itself must show starts a Python instead.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.support.paths import ROOT

PROGRAMS = {"streamscore": "streamscore.cli.main", "trainer": "trainer.cli.main"}
# What the commands import when they run, which `--help` does without.
IMPORTED = (
    "tensorflow", "keras", "sklearn.linear_model", "deltalake",
    "streamscore.worker.worker", "streamscore.models.load", "streamscore.archive.startup", "trainer.run",
)  # fmt: skip
START_SECONDS = 120
RUN_SECONDS = 300
NUMBER = b"%8d"  # a process's id, then its exit code


class Forked:
    """A running command, with those methods of `subprocess.Popen` that tests use."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code: minus the signal's number if a signal ended it."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = int(self._connection.recv(len(NUMBER % 0)))
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        self.send_signal(signal.SIGKILL)


def start(
    program: str,
    arguments: Sequence[object],
    env: Mapping[str, str],
    streams: tuple[int, int, int],
    address: Path | None = None,
) -> Forked:
    """Start `streamscore` or `trainer` in this folder, with three open files as its standard streams."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(address or _server()))
    with tempfile.TemporaryFile() as request:
        wanted = {"program": program, "arguments": [*map(str, arguments)], "env": dict(env), "folder": str(Path.cwd())}
        request.write(json.dumps(wanted).encode())
        request.seek(0)
        socket.send_fds(connection, [b"4"], [*streams, request.fileno()])
        return Forked(connection, int(connection.recv(len(NUMBER % 0))))


def run(program: str, arguments: Sequence[object], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, and give what it wrote."""
    with open(os.devnull, "rb") as none, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        running = start(program, arguments, env, (none.fileno(), out.fileno(), err.fileno()))
        try:
            code = running.wait(RUN_SECONDS)
        finally:
            running.kill()
        for written in (out, err):
            written.seek(0)
        return subprocess.CompletedProcess([program, *map(str, arguments)], code, out.read(), err.read())


def write_commands(folder: Path) -> None:
    """Write `streamscore` and `trainer` as programs that a shell finds in the folder."""
    folder.mkdir(exist_ok=True)
    for program in PROGRAMS:
        code = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.support.forked import stand_in; "
            f"sys.exit(stand_in({program!r}, {str(_server())!r}))"
        )
        path = folder / program
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -c "{code}" "$@"\n')
        path.chmod(0o755)


def stand_in(program: str, address: str) -> int:
    """Be the command that a shell started, until the forked one ends."""
    running = start(program, sys.argv[1:], os.environ, (0, 1, 2), Path(address))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: running.send_signal(received))
    code = running.wait()
    return code if code >= 0 else 128 - code


@cache
def _server() -> Path:
    """The address of this process's server, which ends with this process."""
    address = Path(tempfile.mkdtemp(prefix="streamscore-forked-")) / "server"
    command = [sys.executable, "-m", "tests.support.forked", str(address)]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
    atexit.register(server.communicate)  # closes what it reads, and it ends
    end = time.monotonic() + START_SECONDS
    while not address.exists():
        assert server.poll() is None, "the server of forked commands ended"
        assert time.monotonic() < end, "the server of forked commands did not start"
        time.sleep(0.02)
    return address


def _serve(address: Path) -> Callable[[], None] | None:
    """Fork what is asked for until standard input closes; in a child, the command to run."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for pytest, which then ends
    signal.signal(signal.SIGCHLD, lambda *_: None)  # with it, each child that ends wakes the loop
    signal.set_wakeup_fd(wake)
    listener.bind(str(address))
    listener.listen()
    gc.freeze()  # a child that collects would copy every page
    running: dict[int, socket.socket] = {}
    while sys.stdin not in (ready := select.select([listener, sys.stdin, ended], [], [])[0]):
        if ended in ready:
            os.read(ended, 1024)
            _report_ended(running)
        if listener in ready:
            connection, _ = listener.accept()
            _, files, _, _ = socket.recv_fds(connection, 1, 4)
            if not (pid := os.fork()):
                signal.set_wakeup_fd(-1)
                for open_file in (listener, connection, *running.values()):
                    open_file.close()
                return _prepared(files)
            connection.send(NUMBER % pid)
            running[pid] = connection
            for file in files:
                os.close(file)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(address.parent)
    return None


def _report_ended(running: dict[int, socket.socket]) -> None:
    for pid, connection in list(running.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            connection.send(NUMBER % os.waitstatus_to_exitcode(status))
            running.pop(pid).close()


def _prepared(files: Sequence[int]) -> Callable[[], None]:
    """In a child: take over streams, folder and environment; the command's function."""
    *streams, request = files
    for number, file in enumerate(streams):
        os.dup2(file, number)
        os.close(file)
    with os.fdopen(request, "rb") as content:
        wanted = json.load(content)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGCHLD, signal.SIG_DFL)):
        signal.signal(number, handler)
    random.seed()  # every child would draw the same numbers
    sys.modules["__main__"].__package__ = ""  # else click would call the command `python -m tests.support.streamscore`
    sys.argv = [wanted["program"], *wanted["arguments"]]
    main: Callable[[], None] = importlib.import_module(PROGRAMS[wanted["program"]]).main
    return main


if __name__ == "__main__":
    for module in IMPORTED:
        importlib.import_module(module)
    if command := _serve(Path(sys.argv[1])):
        command()
