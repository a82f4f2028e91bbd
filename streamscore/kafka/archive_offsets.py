"""Where the archiver begins to read a partition: after what is archived, if Kafka still has what comes next."""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from streamscore.core.events.record import Partition
from streamscore.errors import OffsetsExpired
from streamscore.kafka.start_offsets import LEADER_SECONDS, Start

log = logging.getLogger("streamscore.archiver")


def beginnings(
    client: Any, partitions: Collection[Partition], archived: Mapping[Partition, int], accept_gaps: bool
) -> dict[Partition, Start]:
    """Where to begin in each partition; one without a leader is left out.

    `archived` is the next offset of those of which something is archived; of the others all is read that Kafka has.
    OffsetsExpired when records between are gone, unless gaps are accepted, or when the topic is another one.
    """
    found = {}
    for partition in partitions:
        try:
            low, high = client.get_watermark_offsets(TopicPartition(*partition), timeout=LEADER_SECONDS)
        except KafkaException as error:
            log.warning("%s partition %d: where it begins cannot be asked yet: %s", *partition, error.args[0].str())
            continue
        start, name = archived.get(partition, low), f"{partition[0]} partition {partition[1]}"
        if start > high:
            raise OffsetsExpired(
                f"{name} ends at {high}, and {start} offsets are archived: "
                "the topic was made anew. Archive it to another archive.url."
            )
        if start < low:
            gap = f"{name}: offsets {start} to {low - 1} are gone before they were archived"
            if not accept_gaps:
                raise OffsetsExpired(f"{gap}. `streamscore archiver --accept-gaps` goes on without them.")
            log.warning("%s; going on without them", gap)
        found[partition] = Start(max(start, low), fresh=False)
    return found
