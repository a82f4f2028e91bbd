"""How fast the archiver is: a bare consume of the same topic and the archiver in turn, within one run."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from confluent_kafka import Consumer, TopicPartition

from streamscore.kafka.clients import consumer
from streamscore.settings.schema import Kafka
from tests.bench.on_kafka import events, fill, peak_memory
from tests.bench.rows import Row
from tests.evidence.archiving import PARTITIONS, Scene, held, running
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import Worker, road

RECORDS, ROUNDS, BATCH = 2_000_000, 5, 4096
# The defaults, but for the wait until a part of a roll is written at the end.
ROLLS = {"archive.roll_rows": 500_000, "archive.roll_seconds": 60, "archive.idle_seconds": 0.5}
KEYED = {"pseudonyms.key": "a key that only this measurement has"}


def rows(kafka: Endpoint, folder: Path) -> list[Row]:
    """Records a second from the first one read until all are rows of committed tables, against reading alone."""
    topic = kafka.new_topic(PARTITIONS)
    messages = events(RECORDS // 10)
    for _ in range(10):
        fill(kafka.bootstrap, topic, messages, [])
    peaks: list[float] = []
    rates: dict[str, list[float]] = {"bare": [], "archiver": [], "tuned": [], "keyed": []}
    for number in range(ROUNDS):
        rates["bare"].append(_bare(_as_it_comes(kafka), topic))
        for name, more in (("archiver", {}), ("keyed", KEYED)):
            rate, peak = _archiver(kafka, topic, folder / f"{name}-{number}", more)
            rates[name].append(rate)
            peaks.append(peak)
        rates["tuned"].append(_bare(_tuned(kafka), topic))
        print("  " + ", ".join(f"{name} {found[-1]:,.0f}/s" for name, found in rates.items()), flush=True)

    def against(bare: str, ours: str = "archiver") -> float:
        return median(own / theirs for own, theirs in zip(rates[ours], rates[bare], strict=True))

    return [
        Row("archive: bare consume", median(rates["bare"]), "records/s"),
        Row("archive: throughput", median(rates["archiver"]), "records/s"),
        Row("archive: throughput ratio to a bare consume", against("bare"), "ratio", ">= 0.5"),
        Row("archive: throughput ratio with pseudonyms", against("bare", "keyed"), "ratio", ">= 0.5"),
        Row("archive: bare consume with the archiver's fetch settings", median(rates["tuned"]), "records/s"),
        Row("archive: throughput ratio to that consume", against("tuned"), "ratio"),
        Row("archive: peak resident memory", max(peaks), "bytes", "<= 1.5e9"),
    ]


def _as_it_comes(kafka: Endpoint) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": "bare",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "check.crcs": True,
        }
    )


def _tuned(kafka: Endpoint) -> Consumer:
    return consumer(Kafka(bootstrap=kafka.bootstrap, group="bare"), lambda _: None, lambda *_: None)


def _bare(client: Consumer, topic: str) -> float:
    """Records a second that a client reads and counts."""
    client.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    read, start = 0, 0.0
    while read < RECORDS:
        first = client.poll(0.05)
        if first is None:
            continue
        start = start or time.monotonic()
        read += sum(message.error() is None for message in [first, *client.consume(BATCH - 1, 0)])
    seconds = time.monotonic() - start
    client.close()
    return RECORDS / seconds


def _archiver(kafka: Endpoint, topic: str, folder: Path, more: Mapping[str, object]) -> tuple[float, float]:
    """Records a second, and the archiver's peak resident memory in bytes."""
    folder.mkdir()
    place = Scene(road(kafka, folder, 1)._replace(input=topic), kafka.new_topic(1), folder / "tables", folder)
    with running(place, {**ROLLS, **more, "archive.group": folder.name}) as archiver:
        start, before = _when(lambda: _metric(archiver, "streamscore_archive_records_total"), 1, archiver)
        end, written = _when(lambda: _metric(archiver, "streamscore_archive_rows_total"), RECORDS, archiver)
        peak = peak_memory(archiver)
    assert written == sum(map(len, held(place).values())) == RECORDS
    return (RECORDS - before) / (end - start), peak


def _when(value: Callable[[], float], least: float, archiver: Worker) -> tuple[float, float]:
    """When a value has grown to so much, and what it is then."""
    while (found := value()) < least:
        archiver.alive()
        time.sleep(0.02)
    return time.monotonic(), found


def _metric(archiver: Worker, name: str) -> float:
    lines = archiver.get("/metrics")[1].splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{"))
