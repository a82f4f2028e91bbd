"""What a worker reads from and publishes to. Kafka's source and sink are one implementation of each."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from streamscore.core.events.record import Partition, Record
from streamscore.core.scoring.pipeline import Outcome
from streamscore.kafka.listener import RebalanceListener
from streamscore.kafka.start_offsets import Kept


class Source(Protocol):
    """Where a worker's records come from. A worker calls it from one thread.

    The records of one partition must come in the order of their offsets.
    """

    def read(self, limit: int, wait: float) -> Sequence[Record]:
        """Up to `limit` records that are here, waiting at most `wait` seconds for the first. Empty when none came."""

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool) -> None:
        """Keep the next offset to read of partitions: every output of the records before it is durable.

        `wait` asks to return only when they are kept.
        """

    def close(self) -> None:
        """The worker reads no more."""


class Sink(Protocol):
    """Where a worker's scores, alerts and dead letters go. A worker calls it from one thread."""

    def publish(self, outcome: Outcome) -> None:
        """Take the outputs of one batch: encoded messages with the key of their input. Must not block for long."""

    def flush(self, timeout: float) -> bool:
        """Whether all that was published is durable, waiting at most `timeout` seconds.

        Offsets are committed only after every sink has said True.
        """

    def close(self) -> None:
        """The worker publishes no more."""


class GroupSource(Source, Protocol):
    """A source whose partitions are shared in a group: what the worker's loop asks of Kafka's beyond `Source`."""

    @property
    def connected(self) -> bool:
        """Whether the other side answers."""

    @property
    def waiting_for(self) -> str | None:
        """What keeps records from coming, in words; None when nothing does."""

    @property
    def rebalances(self) -> int:
        """Changes of the owned partitions so far."""

    @property
    def commit_failed(self) -> bool:
        """Whether the last commit was not taken."""

    @property
    def owned(self) -> Collection[Partition]:
        """The partitions whose events this worker scores."""

    @property
    def scored_from(self) -> Mapping[Partition, int]:
        """Of owned partitions, the first offset that is this worker's to score."""

    @property
    def paused(self) -> Collection[Partition]:
        """The partitions whose reading is paused."""

    @property
    def end_seen(self) -> Mapping[Partition, int]:
        """The end of each partition when it was last reached."""

    def join(self, listener: RebalanceListener) -> None:
        """Join the group."""

    def poll_group(self) -> None:
        """Take part in the group: the listener is called in here."""

    def follow(self, topics: Sequence[str]) -> Mapping[Partition, Kept]:
        """What every partition of some topics keeps; they are read whoever owns them."""

    def follow_new(self, topics: Sequence[str]) -> None:
        """Follow partitions too that topics were given since."""

    def read_from(self, starts: Mapping[Partition, int]) -> None:
        """Begin to read partitions, or read them again, from these offsets on."""

    def pending(self) -> Collection[Partition]:
        """The partitions that have, or may have, more to read."""

    def throttle(self, pause: Collection[Partition], resume: Collection[Partition]) -> None:
        """Stop or go on reading partitions."""

    def positions(self) -> dict[Partition, int]:
        """The next offset to be read of every partition that is read."""

    def ends(self) -> dict[Partition, int]:
        """The offset after the last record of every partition that is read, as far as it is known."""

    def committed(self) -> Mapping[Partition, int]:
        """The group's offset of every partition that is read; empty while that is not known."""

    def lag(self) -> Mapping[Partition, int]:
        """Messages not yet read per owned partition."""
