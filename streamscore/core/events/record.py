"""What travels: a record is bytes with Kafka coordinates."""

import msgspec

Partition = tuple[str, int]


Headers = list[tuple[str, bytes | None]]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One Kafka message as it was read: untouched bytes and where they stood.

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
