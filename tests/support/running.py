"""Workers as processes on Apache Kafka, and the books that an independent consumer keeps of them."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition

from streamscore.core.events.record import Headers
from streamscore.core.events.transaction import TRANSACTION
from streamscore.simulator import streams as simulator
from tests.support import forked, session
from tests.support.apache_kafka.cluster import free_ports
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.forked import Forked

START = 1_767_225_600_000_000  # 2026-01-01 in microseconds: simulated events need some time to begin
READY_SECONDS = 90.0
END_SECONDS = 60.0
NONE: Headers = []
STREAMSCORE = ("-m", "streamscore")


class Road(NamedTuple):
    """One way through Kafka: where events come in, where everything goes out, and whose models score."""

    bootstrap: str
    input: str
    outputs: Mapping[str, str]
    group: str
    store: Path
    event_type: str = "transaction"


def road(kafka: Endpoint, store: Path, partitions: int, event_type: str = "transaction") -> Road:
    """Fresh topics and a fresh group."""
    topic = kafka.new_topic(partitions)
    outputs = {"scores": kafka.new_topic(partitions), "alerts": kafka.new_topic(1), "dead_letters": kafka.new_topic(1)}
    return Road(kafka.bootstrap, topic, outputs, f"group-{topic}", store, event_type)


class Worker:
    """A worker process. `settings` are dotted keys; `program` is what Python is told to run.

    In a test, the command as it is begins with its libraries imported (tests/support/forked.py).
    """

    def __init__(
        self,
        road: Road,
        log: Path,
        settings: Mapping[str, object] = {},
        program: Sequence[str] = STREAMSCORE,
        command: Sequence[str] = ("worker",),
    ) -> None:
        self.port = free_ports(1)[0]
        given = {
            "kafka.bootstrap": road.bootstrap,
            "kafka.group": road.group,
            "kafka.start_from": "earliest",
            "kafka.consumer": "{session.timeout.ms: 6000, heartbeat.interval.ms: 1000}",
            "inputs": f"{{{road.input}: {road.event_type}}}",
            "models.store": road.store,
            "models.poll_seconds": 0.5,
            "http.port": self.port,
            **{f"outputs.{name}": topic for name, topic in road.outputs.items()},
            **settings,
        }
        flags = [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
        self._log = log
        self.process: subprocess.Popen[bytes] | Forked
        with log.open("a") as out, Path(os.devnull).open() as none:
            if session.is_shared() and program == STREAMSCORE:
                streams = (none.fileno(), out.fileno(), out.fileno())
                self.process = forked.start("streamscore", [*command, *flags], environment(), streams)
            else:
                arguments = [sys.executable, *program, *command, *flags]
                self.process = subprocess.Popen(arguments, stdout=out, stderr=out, env=environment())

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def await_ready(self) -> None:
        until(self.ready, READY_SECONDS, "the worker is ready", self.alive)

    def alive(self) -> None:
        """Fails with the end of its log when the worker has ended."""
        if self.process.poll() is not None:
            raise AssertionError(f"the worker ended with {self.process.returncode}:\n{self.log()[-3000:]}")

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages; status 0 when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> int:
        """SIGTERM, and the exit code it ends with."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_SECONDS)


def environment() -> dict[str, str]:
    """This process's environment without settings of its own."""
    return {k: v for k, v in os.environ.items() if not k.startswith("STREAMSCORE_")} | {"TF_CPP_MIN_LOG_LEVEL": "2"}


@contextmanager
def worker(road: Road, folder: Path, settings: Mapping[str, object] = {}) -> Iterator[Worker]:
    """A ready worker that does not outlive the test."""
    running = Worker(road, folder / "worker.log", settings)
    try:
        running.await_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


def until(condition: Callable[[], bool], seconds: float, what: str, check: Callable[[], None] | None = None) -> None:
    """Wait for a condition; AssertionError says what did not come true. `check` may fail at once."""
    end = time.monotonic() + seconds
    while not condition():
        if check:
            check()
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


Keyed = tuple[bytes | None, bytes | None]


def transactions(rows: int, seed: int = 1, first: int = 0) -> list[Keyed]:
    """Simulated transactions as keys and values."""
    simulated = simulator.transactions(rows, START + first * 200_000, 5.0, seed, first)
    lines = simulator.json_lines(TRANSACTION, simulated)
    return list(zip(simulator.keys(TRANSACTION, simulated), lines, strict=True))


def endless(least: int, enough: Callable[[], bool]) -> Iterator[Keyed]:
    """Transactions until it is enough, and at least so many."""
    first = 0
    while first < least or not enough():
        for message in transactions(5_000, first=first):
            if first >= least and enough():
                return
            first += 1
            yield message


def produce(road: Road, messages: Iterable[Keyed], rate: float | None = None, headers: Headers = NONE) -> None:
    """Send messages, all at once or so many a second; returns when all are acknowledged."""
    client = Producer({"bootstrap.servers": road.bootstrap, "enable.idempotence": True, "linger.ms": 5})
    start = time.monotonic()
    carried: Any = list(headers)
    for number, (key, value) in enumerate(messages):
        while True:
            try:
                client.produce(road.input, value, key, headers=carried)
                break
            except BufferError:
                client.poll(0.1)
        if rate and number % 20 == 0:
            client.poll(0)
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
    assert client.flush(120) == 0, "the test's own producer could not deliver"


class Books:
    """What came out, by the input coordinates that every output names."""

    def __init__(self, road: Road) -> None:
        self._road = road
        self.scores: Counter[tuple[int, int]] = Counter()
        self.dead: Counter[tuple[int, int]] = Counter()
        self.alerts: Counter[str] = Counter()
        self._client = Consumer(
            {
                "bootstrap.servers": road.bootstrap,
                "group.id": "books",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        self._client.assign([TopicPartition(t, p, 0) for t in road.outputs.values() for p in self._partitions(t)])

    def _partitions(self, topic: str) -> list[int]:
        return sorted(self._client.list_topics(topic, timeout=10).topics[topic].partitions)

    def ends(self) -> dict[int, int]:
        """The number of input messages by partition."""
        topic = self._road.input
        return {p: self._client.get_watermark_offsets(TopicPartition(topic, p))[1] for p in self._partitions(topic)}

    def read(self) -> int:
        """Enter what is new; the number of inputs with an output so far."""
        full = True
        while full:  # a stream that never ends would never leave a loop until nothing comes
            messages = self._client.consume(10_000, 0.1)
            full = len(messages) == 10_000
            for message in messages:
                if message.error() is None:
                    self._enter(message.topic(), message.value(), dict(message.headers() or []))
        return len(self.scores) + len(self.dead)

    def _enter(self, topic: str | None, value: bytes | None, headers: Mapping[str, object]) -> None:
        outputs = self._road.outputs
        if topic == outputs["dead_letters"]:
            where = [headers[f"streamscore.dead_letter.{name}"] for name in ("partition", "offset")]
            self.dead[int(where[0]), int(where[1])] += 1  # type: ignore[call-overload]
        elif value:
            content = json.loads(value)
            if topic == outputs["alerts"]:
                self.alerts[content["alert_id"]] += 1
            else:
                self.scores[content["partition"], content["offset"]] += 1

    def lost(self) -> int:
        """Inputs without an output."""
        return sum(
            (p, o) not in self.scores and (p, o) not in self.dead for p, n in self.ends().items() for o in range(n)
        )

    def duplicates(self) -> int:
        """Outputs beyond the first of an input."""
        return self.scores.total() - len(self.scores) + self.dead.total() - len(self.dead)

    def uncommitted(self) -> int:
        """Outputs of inputs that the group has not committed: what a crash now would repeat."""
        positions = [TopicPartition(self._road.input, p) for p in self.ends()]
        client = Consumer({"bootstrap.servers": self._road.bootstrap, "group.id": self._road.group})
        committed = {found.partition: max(0, found.offset) for found in client.committed(positions, timeout=10)}
        client.close()
        self.read()
        return sum(offset >= committed[partition] for partition, offset in [*self.scores, *self.dead])

    def await_all(self, seconds: float, check: Callable[[], None] | None = None) -> None:
        """Wait until every input has an output."""
        total = sum(self.ends().values())
        until(lambda: self.read() >= total, seconds, f"all of {total} events came out", check)

    def close(self) -> None:
        self._client.close()


def run_command(module: str, *arguments: object) -> None:
    """A command of ours, as a user runs it."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    if session.is_shared():
        done = forked.run(module, arguments, environment())
    else:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    print("  " + "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-4:]), flush=True)
    assert done.returncode == 0, done.stderr[-3000:]
