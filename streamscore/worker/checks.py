"""`streamscore check`: what would keep a worker from starting, found before it is started."""

from collections.abc import Iterator

from confluent_kafka import KafkaException

from streamscore.archive.delta import Table, holds_files
from streamscore.archive.routes import routes
from streamscore.core.events.event_type import EventType
from streamscore.errors import StreamScoreError
from streamscore.kafka.clients import admin, consumer
from streamscore.kafka.start_offsets import never_read
from streamscore.kafka.topics import partitions_of
from streamscore.models.load import first_champion
from streamscore.models.store import ModelStore
from streamscore.registry import find_event_type
from streamscore.settings.pseudonyms import key_id
from streamscore.settings.schema import Kafka, Settings
from streamscore.worker.startup import needed_topics

BROKER_SECONDS = 5.0


def checks(settings: Settings) -> Iterator[tuple[str, str | None]]:
    """What was looked at, and what is wrong with it or None."""
    yield "settings", None
    try:
        existing = partitions_of(admin(settings.kafka), BROKER_SECONDS)
        yield f"broker {settings.kafka.bootstrap}", None
        for topic in needed_topics(settings):
            missing = "does not exist; `streamscore topics create` creates it"
            yield f"topic {topic}", None if topic in existing else missing
        yield f"group {settings.kafka.group}", _start(settings.kafka, list(settings.inputs))
    except KafkaException as error:
        yield f"broker {settings.kafka.bootstrap}", f"{error.args[0].str()}; topics and group were not looked at"
    types: dict[str, EventType] = {}
    for name in dict.fromkeys(settings.inputs.values()):
        try:
            types[name] = find_event_type(name)
            yield f"event type {name}", None
        except StreamScoreError as error:
            yield f"event type {name}", str(error)
    if types.keys() == set(settings.inputs.values()):
        yield f"archive {settings.archive.url}", _archive(settings)
    for event_type in types.values():
        yield _model(settings, event_type)


def _archive(settings: Settings) -> str | None:
    """What an archiver would say of its tables; those that are not there yet it makes."""
    try:
        for place in {place for route in routes(settings).values() for place in route.tables}:
            url = f"{settings.archive.url.rstrip('/')}/{place}"
            if not holds_files(url):  # an import: no archiver writes there, and without one it is well
                Table(url, key_id=key_id(settings)).reached([])
    except StreamScoreError as error:
        return str(error)
    return None


def _start(kafka: Kafka, topics: list[str]) -> str | None:
    """What a worker would say of a new group for which kafka.start_from is not set."""
    if kafka.start_from:
        return None
    client = consumer(kafka, lambda _: None, lambda *_: None)
    try:
        unread = never_read(client, topics)
    finally:
        client.close()
    return f"has never read {', '.join(unread)}: set kafka.start_from to latest, earliest or a time" if unread else None


def _model(settings: Settings, event_type: EventType) -> tuple[str, str | None]:
    try:
        bundle = first_champion(ModelStore(settings.models.store, event_type.name), event_type, settings.models.device)
    except StreamScoreError as error:
        return f"model of {event_type.name}", str(error)
    return f"model of {event_type.name}: {bundle.manifest.version} on {bundle.scorer.device}", None
