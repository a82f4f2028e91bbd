"""What challengers in shadow cost the champion: those that sleep, that raise, and that score, beside none at all."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from streamscore.models.store import ModelStore
from tests.bench.on_kafka import ages_of, events
from tests.bench.rows import Row
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import Keyed, Road, Worker, road, until

NONE, SLEEPS, RAISES, SCORES = "none", "sleeps", "raises", "scores"
KINDS = (NONE, SLEEPS, RAISES, SCORES)
PROGRAMS = {kind: ("-m", "tests.evidence.harmful", kind) for kind in (SLEEPS, RAISES)}
PARTITIONS = 4
# A pass over so many takes three seconds, and single passes differ by a tenth on a shared machine.
EVENTS, ROUNDS = 400_000, 9
LIVE_RATE, LIVE_SECONDS, LIVE_ROUNDS = 1000, 6, 7
LOAD_SECONDS = 90.0


class Shadowed(NamedTuple):
    """A worker with a challenger, or without one, its road and its topic of challengers' risks."""

    worker: Worker
    road: Road
    topic: str

    def counted(self, what: str) -> float:
        """How many events' challenge was scored, skipped or failed."""
        name = f'streamscore_shadow_events_total{{event_type="{self.road.event_type}",what="{what}"}}'
        lines = [line for line in self.worker.get("/metrics")[1].splitlines() if line.startswith(name)]
        return float(lines[0].rsplit(" ", 1)[1]) if lines else 0.0


def challenge(store: ModelStore, version: str = "challenger-1") -> str:
    """Make the champion's files once more the challenger; its version."""
    found = store.read(store.alias("champion") or "")
    store.write(found.manifest.model_copy(update={"version": version}), found.files)
    store.point("challenger", version)
    return version


@contextmanager
def shadowed(kafka: Endpoint, store: Path, log: Path, kind: str, event_type: str = "transaction") -> Iterator[Shadowed]:
    """A ready worker whose challenger, unless there is none, is loaded."""
    way, topic = road(kafka, store, PARTITIONS, event_type), kafka.new_topic(PARTITIONS)
    settings = {"outputs.shadow": topic} if kind != NONE else {}
    running = Shadowed(Worker(way, log, settings, PROGRAMS.get(kind, ("-m", "streamscore"))), way, topic)
    try:
        running.worker.await_ready()
        if kind != NONE:
            said = "streamscore_shadow_model_info{"
            until(lambda: said in running.worker.get("/metrics")[1], LOAD_SECONDS, "the challenger is loaded")
        yield running
    finally:
        if running.worker.process.poll() is None:
            running.worker.kill()


def rows(kafka: Endpoint, store: Path, folder: Path) -> list[Row]:
    """Throughput and age with each kind of challenger, beside those of a worker without, in turn."""
    challenge(ModelStore(str(store), "transaction"))
    messages = events(max(EVENTS, LIVE_RATE * LIVE_SECONDS * (LIVE_ROUNDS + 1)))
    with ExitStack() as stack:
        running = {kind: stack.enter_context(shadowed(kafka, store, folder / f"{kind}.log", kind)) for kind in KINDS}
        ages: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for number in range(LIVE_ROUNDS + 1):
            share = messages[number * LIVE_RATE * LIVE_SECONDS :][: LIVE_RATE * LIVE_SECONDS]
            for kind in _turned(number):
                p99 = float(np.quantile(ages_of(running[kind].road, share), 0.99))
                if number:  # the first round only warms all of them up
                    ages[kind].append(p99)
        scored = running[SCORES].counted("scored") / (LIVE_RATE * LIVE_SECONDS * (LIVE_ROUNDS + 1))
        rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for number in range(ROUNDS + 1):
            for kind in _turned(number):
                rate = _rate(running[kind].road, messages[:EVENTS])
                if number:
                    rates[kind].append(rate)
    for kind in KINDS:
        print(f"  {kind}: {np.round(rates[kind])} events/s, age p99 {np.round(ages[kind], 1)} ms", flush=True)
    return [
        Row("shadow: throughput without a challenger", median(rates[NONE]), "events/s"),
        Row("shadow: age p99 at 1,000/s without a challenger", median(ages[NONE]), "ms"),
        *(row for kind in KINDS[1:] for row in _compared(kind, rates, ages)),
        Row("shadow: share scored at 1,000/s", scored, "of events", ">= 0.99"),
    ]


def _turned(number: int) -> Sequence[str]:
    """Each kind takes each place in a round, so that what precedes it is not always the same."""
    return KINDS[number % len(KINDS) :] + KINDS[: number % len(KINDS)]


def _compared(kind: str, rates: dict[str, list[float]], ages: dict[str, list[float]]) -> list[Row]:
    """Medians over rounds: throughput in shares of that without a challenger, and p99 above it."""
    ratio = median(ours / none for ours, none in zip(rates[kind], rates[NONE], strict=True))
    above = median(ours - none for ours, none in zip(ages[kind], ages[NONE], strict=True))
    bars = (">= 0.95", "<= 5") if kind != SCORES else ("", "")
    return [
        Row(f"shadow: throughput with a challenger that {kind}", ratio, "of that without", bars[0]),
        Row(f"shadow: age p99 above that without, challenger {kind}", above, "ms", bars[1]),
    ]


def _rate(way: Road, messages: Sequence[Keyed]) -> float:
    """Events a second from the first output's time to the last one's, of events that become visible all at once."""
    reader = Consumer({"bootstrap.servers": way.bootstrap, "group.id": "rate", "enable.auto.commit": False})
    partitions = [TopicPartition(way.outputs["scores"], number) for number in range(PARTITIONS)]

    def ends() -> list[int]:
        while True:
            try:
                return [reader.get_watermark_offsets(partition)[1] for partition in partitions]
            except KafkaException:  # on a busy machine a leader is lost for a moment
                time.sleep(0.2)

    before = ends()
    _at_once(way, messages)
    until(lambda: sum(ends()) >= sum(before) + len(messages), 180, "all came out")
    stamps = []
    for partition, first, end in zip(partitions, before, ends(), strict=True):
        for offset in {first, end - 1} if end > first else ():
            reader.assign([TopicPartition(partition.topic, partition.partition, offset)])
            message = reader.poll(10)
            assert message is not None
            stamps.append(message.timestamp()[1])
    reader.close()
    return len(messages) / ((max(stamps) - min(stamps)) / 1000)


def _at_once(way: Road, messages: Sequence[Keyed]) -> None:
    """Send messages in one transaction: none is read before it is committed, when all are there."""
    client = Producer(
        {
            "bootstrap.servers": way.bootstrap,
            "transactional.id": way.input,
            "linger.ms": 20,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    client.init_transactions(30)
    client.begin_transaction()
    for key, value in messages:
        client.produce(way.input, value, key)
    assert client.flush(120) == 0
    time.sleep(0.5)
    client.commit_transaction(30)
