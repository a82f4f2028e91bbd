"""Partitions that have more records and give none, perhaps for want of a leader: the others do not wait for them."""

import logging
import time
from collections.abc import Sequence

from streamscore.core.events.record import Partition, Record, partition_of

log = logging.getLogger("streamscore.kafka")

# How long the others wait for such a partition: an election of a leader takes seconds.
SILENT_SECONDS = 20.0


class StalledPartitions:
    """Since when each partition that has more gave nothing."""

    def __init__(self) -> None:
        self._since: dict[Partition, float] = {}
        self.told: set[Partition] = set()

    def among(self, more: set[Partition], connected: bool) -> set[Partition]:
        """Which of the partitions that have more gave nothing for long.

        While no broker answers all are silent, and none is yet when one is back.
        """
        now = time.monotonic()
        self._since = {partition: self._since.get(partition, now) for partition in more} if connected else {}
        silent = {partition for partition, since in self._since.items() if now - since > SILENT_SECONDS}
        for partition in silent - self.told:
            log.warning("%s partition %d gives nothing; the others go on without it", *partition)
        self.told = silent
        return silent

    def broken_by(self, records: Sequence[Record]) -> None:
        """Records came: their partitions are not silent."""
        for partition in set(map(partition_of, records)) if self._since else ():
            self._since.pop(partition, None)
