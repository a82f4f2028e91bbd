"""Kafka's rebalance listener: what a source asks and tells the loop that reads from it, beside the records."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from streamscore.core.events.record import Partition
from streamscore.kafka.start_offsets import Start, start_offsets
from streamscore.settings.schema import Kafka


def _nothing_done(_partitions: Collection[Partition]) -> Mapping[Partition, int] | None:
    return {}


def _nothing_folded(_partition: Partition) -> int:
    return 0


def _ignore(_partitions: Collection[Partition]) -> None:
    return None


class RebalanceListener(NamedTuple):
    """Functions that a source calls during a rebalance; what is not given does nothing.

    `resume` gives the next offsets of partitions whose earlier events this process has handled already, as far as
    it remembers; None while some of their outputs are not acknowledged. `folded` gives the offset from which a
    followed partition is read again, at the latest. `reading` hears of partitions whose reading begins, `leaving` of
    partitions that go to another member. `starts` asks a client where to read partitions first. It leaves out the
    partitions for which no broker says so yet.
    """

    resume: Callable[[Collection[Partition]], Mapping[Partition, int] | None] = _nothing_done
    folded: Callable[[Partition], int] = _nothing_folded
    reading: Callable[[Collection[Partition]], None] = _ignore
    leaving: Callable[[Collection[Partition]], None] = _ignore
    starts: Callable[[Any, Kafka, Sequence[Partition]], Mapping[Partition, Start]] = start_offsets
