"""The yardstick: the same client, consuming and producing the same bytes, and nothing in between.

    python -m tests.bench.bare BOOTSTRAP INPUT OUTPUT GROUP [headers] [tuned]

It polls, drains, produces, flushes and commits every 0.1 s, or when idle. The client is as it comes,
with the guarantees switched on; `tuned` gives it the worker's fetch settings as well.
"""

import gc
import signal
import sys
import time
from collections.abc import Collection

from confluent_kafka import Consumer, Producer, TopicPartition

COMMIT_SECONDS = 0.1


# As streamscore/kafka_clients.py sets them.
TUNED = {"queued.max.messages.kbytes": 32_768, "queued.min.messages": 20_000, "fetch.queue.backoff.ms": 5}


def main(bootstrap: str, source: str, target: str, group: str, how: Collection[str]) -> None:
    """Copy until SIGTERM."""
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "check.crcs": True,
            **(TUNED if "tuned" in how else {}),
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 5,
            "queue.buffering.max.messages": 500_000,
        }
    )
    consumer.subscribe([source])
    offsets: dict[int, int] = {}
    last = time.monotonic()
    gc.disable()
    while going:
        first = consumer.poll(0.05)
        for_good = [m for m in ([first, *consumer.consume(4095, 0)] if first else []) if m.error() is None]
        if "headers" in how:
            for message in for_good:
                producer.produce(target, message.value(), message.key(), headers=message.headers())
        elif for_good:
            producer.produce_batch(target, [{"key": m.key(), "value": m.value()} for m in for_good])
        for message in for_good:
            offsets[message.partition() or 0] = (message.offset() or 0) + 1
        idle = len(for_good) < 2
        if offsets and (idle or time.monotonic() - last >= COMMIT_SECONDS):
            producer.flush()
        if offsets and time.monotonic() - last >= COMMIT_SECONDS:
            consumer.commit(offsets=[TopicPartition(source, p, o) for p, o in offsets.items()], asynchronous=False)
            offsets.clear()
            last = time.monotonic()
    producer.flush()
    consumer.close()


if __name__ == "__main__":
    bootstrap, source, target, group, *how = sys.argv[1:]
    main(bootstrap, source, target, group, how=how)
