"""What travels: a record is bytes with Kafka coordinates."""

from datetime import UTC, datetime
from operator import attrgetter

import msgspec

Partition = tuple[str, int]
"""A topic's name and the number of one of its partitions."""

Offset = tuple[str, int, int]
"""Kafka coordinates: topic, partition, and the offset of a record in it."""

Headers = list[tuple[str, bytes | None]]

# Beyond every offset and every time in µs, and far enough inside 64 bits that sums with it do not overflow.
NEVER = 1 << 62
# No clock is after it: by it nothing lies in the future.
END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class Record(msgspec.Struct, frozen=True, gc=False):
    """One Kafka message as it was read: untouched bytes and their coordinates.

    `timestamp` is the record's Kafka timestamp in milliseconds, or -1 where there is none. `unreadable` says
    that the headers could not be read.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None
    unreadable: bool = False


# By these getters a pass over many records stays in C: a Python function for each would cost a tenth of decoding.
partition_of = attrgetter("topic", "partition")
offset_of = attrgetter("offset")
