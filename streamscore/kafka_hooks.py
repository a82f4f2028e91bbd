"""What the source of records and its worker say to each other beside records."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from streamscore.core.order import Partition


class Hooks(NamedTuple):
    """What the source asks and tells its worker.

    `resume` gives the next offsets of partitions whose earlier events this worker has scored already, as far as
    it remembers; None while outputs of theirs are not acknowledged. `folded` is where a followed partition is to
    be read again from, at the latest. `reading` hears of partitions that are read anew, `leaving` of
    partitions that go to another worker.
    """

    resume: Callable[[Collection[Partition]], Mapping[Partition, int] | None]
    folded: Callable[[Partition], int]
    reading: Callable[[Collection[Partition]], None]
    leaving: Callable[[Collection[Partition]], None]
