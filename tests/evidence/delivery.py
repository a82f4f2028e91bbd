"""What must hold of delivery, as stories that the tests tell briefly and the evidence at length.

Each story sends so many events through Apache Kafka while something goes wrong, and returns the
audit of an independent consumer.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.apache_kafka.cluster import Cluster
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import Books, Road, Worker, endless, produce, road, until

PARTITIONS = 6


class Audit(NamedTuple):
    """What became of the events: inputs without an output, outputs too many and how many may be."""

    events: int
    lost: int
    duplicates: int
    allowed: int
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.lost == 0 and self.duplicates <= self.allowed


class Scene(NamedTuple):
    """A road with its books, a folder for logs, how many events a second are sent, and by whom."""

    road: Road
    books: Books
    folder: Path
    rate: float
    enough: threading.Event
    sender: threading.Thread
    workers: list[Worker]

    def worker(self, number: int) -> Worker:
        started = Worker(self.road, self.folder / f"worker-{number}.log")
        self.workers.append(started)
        return started


@contextmanager
def scene(kafka: Endpoint, store: Path, folder: Path, events: int, rate: float) -> Iterator[Scene]:
    """Fresh topics, and a sender that goes on while the story is told: `events` at least, at the rate."""
    path, enough = road(kafka, store, PARTITIONS), threading.Event()
    sender = threading.Thread(target=produce, args=(path, endless(events, enough.is_set), rate), daemon=True)
    books = Books(path)
    setting = Scene(path, books, folder, rate, enough, sender, [])
    sender.start()
    try:
        yield setting
    finally:
        enough.set()
        for worker in setting.workers:
            worker.kill()
        sender.join(180)
        books.close()


def _finish(setting: Scene, allowed: int, workers: list[Worker], note: str = "") -> Audit:
    """Stop sending, wait until everything came out, stop the workers, count."""
    setting.enough.set()
    setting.sender.join(180)
    assert not setting.sender.is_alive(), "the test's own producer hangs"
    setting.books.await_all(180, workers[0].alive)
    codes = [worker.terminate() for worker in workers]
    assert codes == [0] * len(workers), f"exit codes {codes}: {workers[0].log()[-2000:]}"
    setting.books.read()
    events = sum(setting.books.ends().values())
    return Audit(events, setting.books.lost(), setting.books.duplicates(), allowed, note)


def _flowing(setting: Scene, worker: Worker) -> None:
    """Wait until a worker is in the middle of the stream: ready, its backlog scored, events passing."""
    worker.await_ready()
    before = setting.books.read()
    until(lambda: setting.books.read() > before + setting.rate / 2, 60, "events are passing", worker.alive)


def kill_nine(kafka: Endpoint, store: Path, folder: Path, events: int, rate: float, kills: int = 5) -> Audit:
    """kill -9 again and again: nothing is lost, and only what was not committed yet comes twice."""
    with scene(kafka, store, folder, events, rate) as setting:
        windows = []
        for number in range(kills):
            worker = setting.worker(number)
            _flowing(setting, worker)
            worker.kill()
            windows.append(setting.books.uncommitted())
        return _finish(setting, sum(windows), [setting.worker(kills)], f"uncommitted at each kill: {windows}")


def two_three_two(kafka: Endpoint, store: Path, folder: Path, events: int, rate: float) -> Audit:
    """A third worker joins and one leaves, under load: nothing is lost, nothing comes twice."""
    with scene(kafka, store, folder, events, rate) as setting:
        first, second = setting.worker(1), setting.worker(2)
        for worker in (first, second):
            _flowing(setting, worker)
        third = setting.worker(3)
        third.await_ready()
        until(lambda: "assigned_partitions 2.0" in third.get("/metrics")[1], 60, "the third has its share", third.alive)
        _flowing(setting, third)
        assert first.terminate() == 0, first.log()[-2000:]
        return _finish(setting, 0, [second, third])


def broker_stopped(kafka: Cluster, store: Path, folder: Path, events: int, rate: float, seconds: float = 30) -> Audit:
    """The broker is away for a while: the same worker says so, waits, and goes on."""
    with scene(kafka, store, folder, events, rate) as setting:
        worker = setting.worker(1)
        _flowing(setting, worker)
        kafka.stop_broker()
        until(lambda: worker.get("/readyz")[0] == 503, 30, "the worker says that it waits", worker.alive)
        said = worker.get("/readyz")[1].strip()
        time.sleep(seconds)
        worker.alive()
        kafka.start_broker()
        until(worker.ready, 90, "the worker is ready again", worker.alive)
        return _finish(setting, 0, [worker], f"it said '{said}'")


def stopped_under_load(kafka: Endpoint, store: Path, folder: Path, events: int, rate: float, stops: int = 3) -> Audit:
    """SIGTERM in the middle, again and again: nothing is lost and nothing comes twice."""
    with scene(kafka, store, folder, events, rate) as setting:
        for number in range(stops):
            worker = setting.worker(number)
            _flowing(setting, worker)
            assert worker.terminate() == 0, worker.log()[-2000:]
        return _finish(setting, 0, [setting.worker(stops)])
