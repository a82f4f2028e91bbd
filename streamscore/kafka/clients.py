"""How the Kafka clients are configured, and what one may ask a broker before work begins."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from streamscore.core.events.record import Partition, Record
from streamscore.errors import SettingsError
from streamscore.settings.schema import Kafka

log = logging.getLogger("streamscore.kafka")


class OnceInAWhile(logging.Filter):
    """Lets a line pass once in so many seconds: while a broker is away, each client tells of each try to reach it."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds, self._until = seconds, 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if not isinstance(record.args, tuple) or record.args[:1] != ("FAIL",):
            return True
        passes = record.created >= self._until
        self._until = record.created + self._seconds if passes else self._until
        return passes


QUIET = OnceInAWhile(30.0)


# Codes that no waiting will mend.
FATAL_CODES = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.INVALID_CONFIG,
    }
)

OnError = Callable[[KafkaError], None]
NONE: Mapping[str, Any] = {}


def consumer(kafka: Kafka, on_error: OnError, on_commit: Callable[..., None]) -> Consumer:
    """A consumer that commits nothing by itself and says where each partition ends."""
    options: dict[str, Any] = {
        **_common(kafka, on_error),
        "group.id": kafka.group,
        "on_commit": on_commit,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # Expired offsets are an error here; `earliest` would skip to what is left with a log line only.
        "auto.offset.reset": "error",
        "partition.assignment.strategy": "cooperative-sticky",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "check.crcs": True,
        # After so long a worker that was killed is missed, and its partitions go to others; the default is 45 s.
        "session.timeout.ms": 15_000,
        # Per consumer: the default of 64 MiB and 100,000 messages a partition is most of a worker's memory.
        "queued.max.messages.kbytes": 32_768,
        "queued.min.messages": 20_000,
        # Above those limits fetching pauses for this long; the default of a second starves a quick worker.
        "fetch.queue.backoff.ms": 5,
        **kafka.options,
        **kafka.consumer,
    }
    if options.get("group.protocol") == "consumer":
        # With the KIP-848 protocol the broker assigns, incrementally; a client that says how is refused.
        del options["partition.assignment.strategy"]
        if "session.timeout.ms" not in {**kafka.options, **kafka.consumer}:
            del options["session.timeout.ms"]  # with it, the broker's own setting counts
    return _made(Consumer, options)


def producer(
    kafka: Kafka, on_error: OnError, on_refused: Callable[..., None], options: Mapping[str, Any] = NONE
) -> Producer:
    """An idempotent producer that never gives a message up; `on_refused` hears of those Kafka will never take.

    `options` replace what is set here, and are replaced by those of the settings.
    """
    return _made(
        Producer,
        {
            **_common(kafka, on_error),
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": 0,
            # A call for each message that was delivered would cost as much as decoding it.
            "delivery.report.only.error": True,
            "on_delivery": on_refused,
            "compression.type": "lz4",
            # A batch's outputs are handed over at once: waiting for more would only make them older.
            "linger.ms": 0,
            "queue.buffering.max.kbytes": 65_536,
            **options,
            **kafka.options,
            **kafka.producer,
        },
    )


def admin(kafka: Kafka) -> AdminClient:
    """A client that asks and creates, and neither reads nor writes."""
    return _made(AdminClient, _common(kafka, lambda _: None) | dict(kafka.options))


def _made(client: Callable[[dict[str, Any]], Any], options: dict[str, Any]) -> Any:
    """A client of these options; SettingsError when librdkafka does not take one of them."""
    if options["logger"] is not log:
        raise SettingsError("kafka: logger is not an option of librdkafka")
    try:
        return client(options)
    except KafkaException as error:
        raise SettingsError(f"kafka: {error.args[0].str()}") from None
    except (TypeError, ValueError) as error:  # an option that takes a function
        raise SettingsError(f"kafka: {error}") from None


def _common(kafka: Kafka, on_error: OnError) -> dict[str, Any]:
    log.addFilter(QUIET)  # once, however many clients are made: a filter that is there is not added again
    return {
        "bootstrap.servers": kafka.bootstrap,
        "client.id": "streamscore",
        "error_cb": on_error,
        "logger": log,
        "allow.auto.create.topics": False,
        "enable.metrics.push": False,
    }


def as_partition(found: Any) -> Partition:
    """A client's TopicPartition as the plain pair used everywhere else."""
    return found.topic, found.partition


def as_record(message: Any) -> Record:
    """A client's message as a record."""
    try:
        headers, unreadable = message.headers(), False
    except (SystemError, UnicodeError):
        # A name that is not UTF-8, which Kafka lets through. The value is none the worse for it.
        headers, unreadable = None, True
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        headers,
        unreadable,
    )
