"""What the source of records and its worker say to each other beside records."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from streamscore.core.events.record import Partition
from streamscore.kafka.start_offsets import Start, start_offsets
from streamscore.settings.schema import Kafka


class RebalanceListener(NamedTuple):
    """What the source asks and tells its worker.

    `resume` gives the next offsets of partitions whose earlier events this worker has scored already, as far as
    it remembers; None while outputs of theirs are not acknowledged. `folded` is where a followed partition is to
    be read again from, at the latest. `reading` hears of partitions that are read anew, `leaving` of
    partitions that go to another worker. `starts` asks, with a client, where partitions are read first; it leaves
    out those of which that cannot be said yet.
    """

    resume: Callable[[Collection[Partition]], Mapping[Partition, int] | None]
    folded: Callable[[Partition], int]
    reading: Callable[[Collection[Partition]], None]
    leaving: Callable[[Collection[Partition]], None]
    starts: Callable[[Any, Kafka, Sequence[Partition]], Mapping[Partition, Start]] = start_offsets
