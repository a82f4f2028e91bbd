"""A source and a sink in memory: a worker runs on them without Kafka, in a test's own process."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from streamscore.core.events.record import Partition, Record
from streamscore.core.scoring.pipeline import Outcome


class MemorySource:
    """A source of records that are given once, in order. Used from the worker's thread; read the rest from any.

    `offsets` holds what the worker committed: the next offset of each partition. `exhausted` says that every record
    was read, which is when a test stops its worker.

    Example:
        >>> from streamscore.testing import MemorySource
        >>> source = MemorySource.of("payments", [{"event_id": "1"}, {"event_id": "2"}])
        >>> [record.offset for record in source.read(10, 0)]
        [0, 1]
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = list(records)
        self._next = 0
        self.offsets: dict[Partition, int] = {}
        self.closed = False

    @classmethod
    def of(cls, topic: str, values: Iterable[Mapping[str, Any] | bytes], timestamp: int = -1) -> "MemorySource":
        """A source of events, as mappings or as JSON bytes, at offsets 0, 1, 2 … of partition 0 of a topic.

        `timestamp` is the Kafka timestamp of all of them, in milliseconds.
        """
        encoded = (value if isinstance(value, bytes) else msgspec.json.encode(value) for value in values)
        return cls(Record(topic, 0, offset, timestamp, None, value, None) for offset, value in enumerate(encoded))

    @property
    def exhausted(self) -> bool:
        """Whether every record was read."""
        return self._next == len(self._records)

    def read(self, limit: int, wait: float) -> Sequence[Record]:
        """The next records; after the last one it waits as a quiet topic would."""
        found = self._records[self._next : self._next + limit]
        self._next += len(found)
        if not found:
            time.sleep(wait)
        return found

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool) -> None:
        """Keep the offsets."""
        self.offsets |= offsets

    def close(self) -> None:
        self.closed = True


class MemorySink:
    """A sink that keeps what a worker publishes, decoded: lists of `scores`, `alerts` and `dead_letters`.

    Scores and alerts are dictionaries as consumers get them. A dead letter is a dictionary of its headers, without
    their prefix, and its `value` in bytes. While `durable` is False, `flush` says that nothing is durable yet.
    """

    def __init__(self) -> None:
        self.scores: list[dict[str, Any]] = []
        self.alerts: list[dict[str, Any]] = []
        self.dead_letters: list[dict[str, Any]] = []
        self.durable = True
        self.closed = False

    def publish(self, outcome: Outcome) -> None:
        """Decode and keep the outputs of a batch."""
        self.scores += [msgspec.json.decode(message.value or b"") for message in outcome.scores]
        self.alerts += [msgspec.json.decode(message.value or b"") for message in outcome.alerts]
        for message in outcome.dead_letters:
            headers = {name.rpartition(".")[2]: (value or b"").decode() for name, value in message.headers or []}
            self.dead_letters.append({**headers, "value": message.value})

    def flush(self, timeout: float) -> bool:
        """Whether what was published counts as durable."""
        if not self.durable:
            time.sleep(timeout)
        return self.durable

    def close(self) -> None:
        self.closed = True
