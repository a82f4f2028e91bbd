"""`streamscore demo`: all of StreamScore on one machine, with nothing to install beside it.

An embedded broker, a simulated stream, a first model of each kind, a worker; and an observer that
counts what comes out by itself, against what was sent.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from streamscore.core.events.feature import DAY
from streamscore.demo.ledger import Books, observe
from streamscore.demo.view import View
from streamscore.errors import StreamScoreError
from streamscore.kafka.embedded import embedded_broker
from streamscore.registry import BUILT_IN
from streamscore.settings.schema import Kafka
from streamscore.simulator import live
from streamscore.simulator.live import Sent
from streamscore.simulator.past import write_simulated

TOPICS = {"transactions": 4, "applications": 2, "scores": 4, "alerts": 2, "dead-letters": 1}
# Transactions, applications and broken messages a second: above 1,000 in all, and little for one core.
RATES = {"transactions": 1200.0, "applications": 60.0}
BROKEN_EVERY = 500  # one message in so many is sent damaged, so that dead letters show
# Enough for a model that beats the base rate by far, little enough to train in seconds.
# Rows and days: the answer to a credit application takes a year to come in.
HISTORY = {"transaction": (120_000, 200), "application": (30_000, 900)}
TRAINING = ("epochs=5", "batch=512")
SEED = 2024
# After the stream has stopped: how long scores may take, and how long a worker may take to leave.
SETTLE_SECONDS, STOP_SECONDS = 15.0, 40.0


class Demo(NamedTuple):
    """One demo: how long (None until Ctrl-C), how it is shown, and where its files lie."""

    duration: float | None
    view: View
    folder: Path
    started: float
    parts: list[subprocess.Popen[str]]


class DemoFailed(StreamScoreError):
    """A part of the demo ended by itself; its log says why."""


def run(duration: float | None, plain: bool) -> dict[str, Any]:
    """Show StreamScore at work; the figures of the run."""
    folder = Path(tempfile.mkdtemp(prefix="streamscore-demo-"))
    demo = Demo(duration, View(plain), folder, time.monotonic(), [])
    try:
        with demo.view, embedded_broker(TOPICS) as bootstrap:
            _train(demo)
            return _stream(demo, Kafka(bootstrap=bootstrap, group="demo"))
    finally:
        for part in demo.parts:  # whatever ended the demo, nothing of it stays
            part.kill()
            part.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _train(demo: Demo) -> None:
    """A first champion of each event type, from a simulated past; both train at the same time."""
    demo.view.say("simulating a past to learn from")
    now = time.time_ns() // 1000
    for name, (rows, days) in HISTORY.items():
        past = live.GENERATORS[name](rows, now - days * DAY, rows / (days * 86_400), SEED, 0)
        write_simulated(demo.folder / "archive" / name, BUILT_IN[name], past, now, "past")
    demo.view.say("training a first model of each kind")
    runs = {name: _start(demo, f"trainer-{name}", _trainer(demo, name)) for name in HISTORY}
    for name, run in runs.items():
        _follow(demo, name, run)
        if run.returncode:
            raise DemoFailed(f"training failed with {run.returncode}:\n{_tail(demo, f'trainer-{name}')}")


def _trainer(demo: Demo, name: str) -> list[str]:
    settings = [part for value in TRAINING for part in ("--set", value)]
    archive_folder, store = str(demo.folder / "archive" / name), str(demo.folder / "models")
    command = [sys.executable, "-m", "trainer", "once", "--promote", "--event-type", name]
    return [*command, "--archive", archive_folder, "--store", store, *settings]


def _stream(demo: Demo, kafka: Kafka) -> dict[str, Any]:
    """Run the worker and the stream until the time is over, then settle and count."""
    port, ledger, sending = _free_port(), Books(), threading.Event()
    sending.set()
    demo.view.say("starting the worker")
    worker = _start(demo, "worker", [sys.executable, "-m", "streamscore", "worker"], _environment(demo, kafka, port))
    address = f"http://127.0.0.1:{port}"
    demo.view.metrics = f"{address}/metrics"
    _await_ready(demo, address, worker)
    observer = threading.Thread(target=observe, args=(kafka, ledger), daemon=True)
    observer.start()
    with _sending(kafka, ledger, sending) as sender:
        _watch(demo, ledger, lambda: worker.poll() is None and sender.is_alive())
    _settle(ledger, lambda: worker.poll() is None)
    device = re.search(r'device_info\{device="(.+?)"\}', _get(f"{address}/metrics") or "")
    worker.terminate()
    if worker.wait(STOP_SECONDS) != 0:
        raise DemoFailed(f"the worker ended with {worker.returncode}:\n{_tail(demo, 'worker')}")
    ledger.closing.set()
    observer.join(STOP_SECONDS)
    return {**ledger.figures(demo.started), "device": device[1] if device else None}


@contextmanager
def _sending(kafka: Kafka, ledger: Books, going: threading.Event) -> Iterator[threading.Thread]:
    flows = [live.Flow(BUILT_IN[topic.removesuffix("s")], topic, rate) for topic, rate in RATES.items()]
    drawing = [_damaged(live.events(flow, SEED)) for flow in flows]
    arguments = (kafka, drawing, going.is_set, ledger.sent)
    sender = threading.Thread(target=live.send, args=arguments, daemon=True)
    sender.start()
    try:
        yield sender
    finally:
        going.clear()
        sender.join(STOP_SECONDS)


def _damaged(drawn: Iterator[list[Sent]]) -> Iterator[list[Sent]]:
    """The stream with a message cut short now and then; the key says which, since its value no longer can."""
    for messages in drawn:
        for row in range(0, len(messages), BROKEN_EVERY):
            whole = messages[row]
            name = f"damaged-{whole.event_id}"
            messages[row] = Sent(name, whole.topic, name.encode(), whole.value[: len(whole.value) // 2])
        yield messages


def _watch(demo: Demo, ledger: Books, alive: Callable[[], bool]) -> None:
    """Show the stream until its time is over, from the first score on; Ctrl-C ends it as well."""
    try:
        while demo.duration is None or ledger.seconds_since_first_score() < demo.duration:
            if not alive():
                raise DemoFailed(f"the worker or the stream ended by itself:\n{_tail(demo, 'worker')}")
            demo.view.show(ledger)
            time.sleep(0.25)
    except KeyboardInterrupt:
        demo.view.say("stopping")


def _await_ready(demo: Demo, address: str, worker: subprocess.Popen[str]) -> None:
    while _get(f"{address}/readyz") is None:
        if worker.poll() is not None:
            raise DemoFailed(f"the worker ended with {worker.returncode}:\n{_tail(demo, 'worker')}")
        time.sleep(0.2)


def _get(url: str) -> str | None:
    """The page's text; None while the worker does not answer, or says that it is not ready."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  our own address
            return str(answer.read().decode())
    except OSError:
        return None


def _settle(ledger: Books, alive: Callable[[], bool]) -> None:
    end = time.monotonic() + SETTLE_SECONDS
    while ledger.outstanding() and alive() and time.monotonic() < end:
        time.sleep(0.1)


def _environment(demo: Demo, kafka: Kafka, port: int) -> Mapping[str, str]:
    return {
        "STREAMSCORE_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "STREAMSCORE_KAFKA__GROUP": kafka.group,
        "STREAMSCORE_KAFKA__START_FROM": "earliest",
        # The embedded broker answers a fetch only after this time; the default of 500 ms would be the age.
        "STREAMSCORE_KAFKA__CONSUMER": "{fetch.wait.max.ms: 5}",
        "STREAMSCORE_MODELS__STORE": str(demo.folder / "models"),
        "STREAMSCORE_HTTP__PORT": str(port),
    }


def _start(demo: Demo, name: str, command: list[str], more: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """A part of the demo as a process of its own: Ctrl-C reaches it through this one, in good order."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("STREAMSCORE_")}
    own.setdefault("OMP_NUM_THREADS", "1")  # two models train at the same time, on data that one core fits in a second
    own["TMPDIR"] = str(demo.folder)  # a part that is killed leaves its temporary files where they are removed
    with _log(demo, name).open("w") as log:
        part = subprocess.Popen(
            command, env={**own, **(more or {})}, stdout=log, stderr=log, text=True, start_new_session=True
        )
    demo.parts.append(part)
    return part


def _follow(demo: Demo, name: str, run: subprocess.Popen[str]) -> None:
    """Show what a trainer says while it says it."""
    with _log(demo, f"trainer-{name}").open() as log:
        while run.poll() is None:
            for line in log:
                demo.view.say(f"{name}: {line.strip()}")
            time.sleep(0.1)


def _log(demo: Demo, name: str) -> Path:
    return demo.folder / f"{name}.log"


def _tail(demo: Demo, name: str) -> str:
    return "\n".join(_log(demo, name).read_text().splitlines()[-15:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
