"""The archiver's loop: records of events, labels and scores into the tables of the archive, each once.

    read → rows, by table → a roll when it is due → written with its offsets → offsets committed to the group

What Kafka's group says is for whoever watches its lag. Where reading begins is what the tables say.
"""

import gc
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from streamscore.archive.delta import Overtaken, Table
from streamscore.archive.ledger import Roll, TopicProgress
from streamscore.archive.metrics import ArchiveMetrics
from streamscore.archive.routes import Route
from streamscore.core.events.record import Partition, offset_of, partition_of
from streamscore.errors import ArchiveUnreachable, DrainTimeout
from streamscore.kafka.archive_offsets import beginnings
from streamscore.kafka.listener import RebalanceListener
from streamscore.kafka.source import KafkaSource
from streamscore.kafka.start_offsets import Start
from streamscore.monitoring.probe import Heartbeat
from streamscore.process import undisturbed
from streamscore.settings.pseudonyms import key_id
from streamscore.settings.schema import Kafka, Settings

log = logging.getLogger("streamscore.archiver")


BATCH = 4096
# How long an idle loop waits for the first record, and a full one for its roll to be written.
WAIT = 0.05
REPORT_SECONDS = 1.0
# Between two tries to reach the storage.
AGAIN_SECONDS = 2.0


class Writing(NamedTuple):
    """A roll on its way into the tables of its topic."""

    topic: str
    roll: Roll
    done: "Future[dict[str, int]]"


class Parts(NamedTuple):
    """What an archiver works with; `startup` builds all of it. `accept_gaps` goes on where records are gone."""

    routes: Mapping[str, Route]
    source: KafkaSource
    metrics: ArchiveMetrics
    heartbeat: Heartbeat
    accept_gaps: bool


class Archiver:
    """Archives the partitions its group gives it. `run` returns when `stop` was called and all is written."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings, self._archive, self._routes = settings, settings.archive, parts.routes
        self._source, self._accept_gaps = parts.source, parts.accept_gaps
        self.metrics, self.heartbeat = parts.metrics, parts.heartbeat
        self._ledgers = {
            topic: TopicProgress(list(map(self._table, route.tables)), route.tables)
            for topic, route in self._routes.items()
        }
        self._rolls = {topic: Roll() for topic in self._routes}
        self._writing: Writing | None = None
        self._writer = ThreadPoolExecutor(1, "archive")
        self._again: dict[str, float] = {}  # topics that begin anew, and when
        self._unreachable: str | None = None
        self._stopping, self._stop_at, self._last_report = False, float("inf"), 0.0

    def _table(self, place: str) -> Table:
        return Table(f"{self._archive.url.rstrip('/')}/{place}", key_id=key_id(self._settings))

    def stop(self) -> None:
        """Ask the loop to write what it has read and leave the group. Safe from a signal handler."""
        self._stopping, self._stop_at = True, time.monotonic() + self._settings.drain_seconds

    def run(self) -> None:
        """Archive until stopped. Raises what `errors.py` lists; what is not written is read again."""
        self._source.join(RebalanceListener(leaving=self._leaving, starts=self._starts))
        try:
            with undisturbed():
                while not self._stopping:
                    self._turn()
                self._drain()
        finally:
            self._source.close()
            self._writer.shutdown()

    def _turn(self) -> None:
        """Once around: group, records, rolls."""
        self._source.poll_group()
        self._begin_again()
        if not self._full():
            self._read()
        elif self._writing:
            wait([self._writing.done], WAIT)
        self._settle()
        self._write_due()
        self.heartbeat.turn(self._waiting_for())
        if time.monotonic() - self._last_report >= REPORT_SECONDS:
            self._last_report = time.monotonic()
            self._report()

    def _read(self) -> None:
        """Read what waits into the rolls of its topics."""
        records = self._source.read(BATCH, WAIT)
        now = datetime.now(UTC)
        for topic, run in groupby(records, attrgetter("topic")):
            ours = list(run)
            self.metrics.read.labels(topic).inc(len(ours))
            if topic in self._again:
                continue  # read again, from where its tables are
            newest = dict(zip(map(partition_of, ours), map(offset_of, ours), strict=True))
            rows = self._routes[topic].rows(self._ledgers[topic].unsettled(ours), now)
            self._rolls[topic].add(rows, {p: offset + 1 for p, offset in newest.items()}, time.monotonic())

    def _full(self) -> bool:
        """Whether as much is held as may be: one roll that is being written, and as much again."""
        most = self._archive
        return any(roll.count >= most.roll_rows or roll.nbytes >= most.roll_bytes for roll in self._rolls.values())

    def _write_due(self) -> None:
        """Hand the longest waiting roll that is due to the writer, when that has none."""
        due = [topic for topic, roll in self._rolls.items() if roll.reached and self._due(roll)]
        if due and not self._writing:
            self._write(min(due, key=lambda topic: self._rolls[topic].since))

    def _write(self, topic: str) -> None:
        roll, self._rolls[topic] = self._rolls[topic], Roll()
        self._writing = Writing(topic, roll, self._writer.submit(self._ledgers[topic].write, roll))

    def _due(self, roll: Roll) -> bool:
        most, now = self._archive, time.monotonic()
        full = roll.count >= most.roll_rows or roll.nbytes >= most.roll_bytes
        return full or now - roll.since >= most.roll_seconds or now - roll.newest >= most.idle_seconds

    def _settle(self) -> None:
        """See what became of the roll that the writer has; a topic whose roll was not written begins anew."""
        if self._writing is None or not self._writing.done.done():
            return
        (topic, roll, done), self._writing = self._writing, None
        try:
            written = done.result()
        except Overtaken:
            log.warning("%s: another archiver was quicker; reading again from what is archived", topic)
            self._fail(topic, "overtaken")
        except ArchiveUnreachable as error:
            log.warning("%s; what was read of %s is read again", error, topic)
            self._unreachable = str(error)
            self._fail(topic, "unreachable")
        else:
            for place, rows in written.items():
                self.metrics.rows.labels(place).inc(rows)
            self.metrics.written_at.labels(topic).set_to_current_time()
            self._source.commit(roll.reached, wait=False)
            log.info("%s: %s", topic, ", ".join(f"{rows:,} rows to {place}" for place, rows in written.items()))
            gc.collect()

    def _fail(self, topic: str, reason: str) -> None:
        self.metrics.failures.labels(reason).inc()
        self._rolls[topic] = Roll()
        self._again[topic] = time.monotonic() + (AGAIN_SECONDS if reason == "unreachable" else 0)

    def _begin_again(self) -> None:
        """Read topics whose roll was not written again, from where their tables are."""
        for topic in [topic for topic, at in self._again.items() if time.monotonic() >= at]:
            self._again[topic] = time.monotonic() + AGAIN_SECONDS
            ours = [partition for partition in self._source.owned if partition[0] == topic]
            starts = self._source.starts(ours)
            if starts.keys() == set(ours):
                self._source.read_from(starts)
                del self._again[topic]

    def _starts(self, client: Any, _kafka: Kafka, partitions: Sequence[Partition]) -> dict[Partition, Start]:
        """Where partitions are read first; those of a topic that is being written are not known yet."""
        busy = self._writing.topic if self._writing else None
        asked = [partition for partition in partitions if partition[0] != busy]
        try:
            archived: dict[Partition, int] = {}
            for topic in {topic for topic, _ in asked}:
                archived |= self._ledgers[topic].begin([p for p in asked if p[0] == topic])
        except ArchiveUnreachable as error:
            log.warning("%s", error)
            self._unreachable = str(error)
            return {}
        self._unreachable = None
        return beginnings(client, asked, archived, self._accept_gaps)

    def _leaving(self, partitions: Collection[Partition]) -> None:
        """Partitions go to another archiver, which reads again what is not written of them."""
        for topic in {topic for topic, _ in partitions}:
            self._rolls[topic].drop([p for p in partitions if p[0] == topic])

    def _drain(self) -> None:
        """Write what was read, and commit."""
        log.info("stopping: writing what was read")
        while self._writing or any(roll.reached for roll in self._rolls.values()):
            if time.monotonic() > self._stop_at:
                raise DrainTimeout(
                    f"what was read could not be written within {self._settings.drain_seconds:g} s; it is read again"
                )
            if self._writing:
                wait([self._writing.done], WAIT)
                self._settle()
            else:
                self._write(next(topic for topic, roll in self._rolls.items() if roll.reached))
            self._source.poll_group()

    def _waiting_for(self) -> str | None:
        return f"the archive: {self._unreachable}" if self._unreachable else self._source.waiting_for

    def _report(self) -> None:
        ends = self._source.ends()
        written = {p: offset for ledger in self._ledgers.values() for p, offset in ledger.archived.items()}
        self.metrics.lags({p: max(0, ends[p] - written.get(p, 0)) for p in self._source.owned if p in ends})
        self.metrics.waiting.set(sum(roll.count for roll in self._rolls.values()))
        self.metrics.partitions.set(len(self._source.owned))
        self.metrics.connected.set(self._source.connected)
