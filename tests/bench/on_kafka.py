"""Throughput and age on Apache Kafka, the worker and the bare loop in turn, within one run."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from operator import truediv
from pathlib import Path
from statistics import median

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from streamscore.core.events.transaction import TRANSACTION
from streamscore.simulator import streams as simulator
from tests.bench.rows import Row
from tests.support.apache_kafka.cluster import Cluster
from tests.support.running import START, Keyed, Road, Worker, environment, until

EVENTS, PARTITIONS, ROUNDS = 400_000, 4, 5
EVENT_BYTES = 500
LIVE_RATE, LIVE_SECONDS, LIVE_ROUNDS = 1000, 6, 7
TRACE = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
STAGES = ("read", "decode", "release", "features", "model", "reasons", "encode", "publish", "acknowledge", "commit")


def events(rows: int) -> list[Keyed]:
    """Transactions of 500 bytes on average: ids as long as real ones."""
    drawn = simulator.transactions(rows, START, 5.0, 3)
    columns = dict(drawn.columns)
    for name in ("event_id", "customer_id", "terminal_id", "device_id"):
        columns[name] = np.array([v and f"{v}-{'0123456789abcdef' * 4}"[:62] for v in columns[name]], object)
    drawn = simulator.Simulated(columns, drawn.kind, drawn.label, drawn.labelled_at)
    return list(zip(simulator.keys(TRANSACTION, drawn), simulator.json_lines(TRANSACTION, drawn), strict=True))


def measure(store: Path) -> list[Row]:
    """All rows that need a broker."""
    messages = events(EVENTS)
    size = float(np.mean([len(value or b"") for _, value in messages]))
    with Cluster() as kafka, tempfile.TemporaryDirectory() as folder:
        print(f"  {EVENTS:,} events of {size:.0f} bytes, {PARTITIONS} partitions, {ROUNDS} rounds", flush=True)
        rows = [Row("event size", size, "bytes")]
        rows += _throughput(kafka, store, Path(folder), messages, headers=False)
        rows += _throughput(kafka, store, Path(folder), messages[: EVENTS // 2], headers=True)
        rows += _live(kafka, store, Path(folder), messages)
    return rows


def _throughput(kafka: Cluster, store: Path, folder: Path, messages: Sequence[Keyed], headers: bool) -> list[Row]:
    """Events a second of worker and bare loop over the same topic, pair by pair."""
    source = kafka.new_topic(PARTITIONS)
    fill(kafka.bootstrap, source, messages, TRACE if headers else [])
    how = ["headers"] if headers else []
    bare_rates, tuned_rates, rates, remembering, ratios, stages, peak = [], [], [], [], [], {}, 0.0
    for _ in range(2 if headers else ROUNDS):
        bare = _bare_rate(_road(kafka, source, store), len(messages), how)
        tuned_rates.append(_bare_rate(_road(kafka, source, store), len(messages), [*how, "tuned"]))
        road = _road(kafka, source, store)
        with _worker(road, folder) as worker:
            rate = _rate(road, len(messages))
            stages = _stages(worker, len(messages))
            peak = max(peak, peak_memory(worker))
        if not headers:
            past = _road(kafka, source, store)._replace(event_type="tests.bench.remembering:REMEMBERING")
            with _worker(past, folder):
                remembering.append(_rate(past, len(messages)) / rate)
        with_trace = "with traceparent: " if headers else ""
        print(f"  {with_trace}bare {bare:,.0f}/s, tuned {tuned_rates[-1]:,.0f}/s, worker {rate:,.0f}/s", flush=True)
        bare_rates.append(bare)
        rates.append(rate)
        ratios.append(rate / bare)
    if headers:
        return [Row("throughput ratio to the bare loop, traceparent on every event", median(ratios), "ratio")]
    return [
        Row("throughput, bare loop", median(bare_rates), "events/s"),
        Row("throughput, worker", median(rates), "events/s"),
        Row("throughput ratio to the bare loop", median(ratios), "ratio", ">= 0.45"),
        Row("throughput, bare loop with the worker's fetch settings", median(tuned_rates), "events/s"),
        Row("throughput ratio to that loop", median(map(truediv, rates, tuned_rates)), "ratio"),
        Row("throughput with 12 windows of history to that without", median(remembering), "ratio", ">= 0.70"),
        Row("peak resident memory", peak, "bytes", "<= 1.5e9"),
        *(Row(f"stage {name}", stages[name], "µs/event") for name in STAGES if name in stages),
    ]


def _road(kafka: Cluster, source: str, store: Path) -> Road:
    outputs = {"scores": kafka.new_topic(PARTITIONS), "alerts": kafka.new_topic(1), "dead_letters": kafka.new_topic(1)}
    return Road(kafka.bootstrap, source, outputs, f"group-{outputs['scores']}", store)


def fill(bootstrap: str, topic: str, messages: Sequence[Keyed], headers: list[tuple[str, bytes]]) -> None:
    client = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    for key, value in messages:
        client.produce(topic, value, key, headers=headers)  # type: ignore[arg-type]
    assert client.flush(120) == 0


def _bare_rate(road: Road, events: int, how: Sequence[str]) -> float:
    with _bare(road, how):
        return _rate(road, events)


@contextmanager
def _bare(road: Road, how: Sequence[str]) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.bench.bare", road.bootstrap, road.input, road.outputs["scores"], road.group]
    process = subprocess.Popen([*command, *how], env=environment())
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _worker(road: Road, folder: Path) -> Iterator[Worker]:
    worker = Worker(road, folder / f"{road.group}.log")
    try:
        yield worker
    finally:
        worker.kill()


def _rate(road: Road, events: int) -> float:
    """Events a second from the first output's time to the last one's, as their producer stamped them."""
    topic = road.outputs["scores"]
    client = Consumer({"bootstrap.servers": road.bootstrap, "group.id": "rate", "enable.auto.commit": False})
    partitions = [TopicPartition(topic, p) for p in range(PARTITIONS)]
    until(lambda: sum(client.get_watermark_offsets(p)[1] for p in partitions) >= events, 180, "all came out")
    stamps = []
    for partition in partitions:
        _, end = client.get_watermark_offsets(partition)
        for offset in (0, end - 1) if end else ():
            client.assign([TopicPartition(topic, partition.partition, offset)])
            message = client.poll(10)
            assert message is not None
            stamps.append(message.timestamp()[1])
    client.close()
    return events / ((max(stamps) - min(stamps)) / 1000)


def _stages(worker: Worker, events: int) -> dict[str, float]:
    """µs an event by stage, from the worker's own metrics."""
    found = {}
    for line in worker.get("/metrics")[1].splitlines():
        if line.startswith("streamscore_stage_seconds_sum"):
            found[line.split('"')[1]] = float(line.rsplit(" ", 1)[1]) / events * 1e6
    return found


def peak_memory(worker: Worker) -> float:
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    return next(float(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


def _live(kafka: Cluster, store: Path, folder: Path, messages: Sequence[Keyed]) -> list[Row]:
    """Age at a steady rate: both run, and get their seconds of the stream in turn.

    Judged is the median over rounds of the difference in p99: what else the machine did in one of them counts once.
    """
    roads = {name: _road(kafka, kafka.new_topic(PARTITIONS), store) for name in ("bare", "worker")}
    ages: dict[str, list[list[float]]] = {name: [] for name in roads}
    with ExitStack() as stack:
        stack.enter_context(_bare(roads["bare"], ["tuned"]))
        stack.enter_context(_worker(roads["worker"], folder)).await_ready()
        for number in range(LIVE_ROUNDS + 1):
            for name, road in roads.items():
                share = messages[number * LIVE_RATE * LIVE_SECONDS :][: LIVE_RATE * LIVE_SECONDS]
                found = ages_of(road, share)
                if number:  # the first round only warms both up
                    ages[name].append(found)
    p50 = {name: float(np.quantile(np.concatenate(rounds), 0.5)) for name, rounds in ages.items()}
    p99 = {name: np.array([np.quantile(found, 0.99) for found in rounds]) for name, rounds in ages.items()}
    for name in roads:
        print(f"  age at {LIVE_RATE}/s, {name}: p50 {p50[name]:.1f} ms, p99 by round {p99[name].round(1)}", flush=True)
    return [
        *(Row(f"age p50 at 1,000/s, {name}", p50[name], "ms") for name in roads),
        *(Row(f"age p99 at 1,000/s, {name}", float(np.median(p99[name])), "ms") for name in roads),
        Row("age p99 above the bare loop's", float(np.median(p99["worker"] - p99["bare"])), "ms", "<= 10"),
    ]


def ages_of(road: Road, messages: Sequence[Keyed]) -> list[float]:
    """Milliseconds from handing an event to Kafka until its output is read, of each event."""
    topic = road.outputs["scores"]
    reader = Consumer(
        {"bootstrap.servers": road.bootstrap, "group.id": "age", "enable.auto.commit": False, "fetch.wait.max.ms": 5}
    )
    ends = [
        TopicPartition(topic, p, reader.get_watermark_offsets(TopicPartition(topic, p))[1]) for p in range(PARTITIONS)
    ]
    reader.assign(ends)
    client = Producer({"bootstrap.servers": road.bootstrap, "linger.ms": 0})
    sent: dict[str, float] = {}
    ages: list[float] = []

    def drain(wait: float) -> None:
        first = reader.poll(wait)
        for message in [first, *reader.consume(1000, 0)] if first else []:
            event_id = json.loads(message.value() or b"{}").get("event_id")
            if event_id in sent:
                ages.append((time.monotonic() - sent.pop(event_id)) * 1000)

    start = time.monotonic()
    for number, (key, value) in enumerate(messages):
        while (left := start + number / LIVE_RATE - time.monotonic()) > 0:
            drain(left)
        sent[json.loads(value or b"")["event_id"]] = time.monotonic()
        client.produce(road.input, value, key)
        client.poll(0)
    end = time.monotonic() + 20
    while sent and time.monotonic() < end:
        drain(0.1)
    assert not sent, f"{len(sent)} events did not come out"
    assert client.flush(10) == 0
    reader.close()
    return ages
