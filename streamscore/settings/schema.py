"""Every setting of the worker, with its default and meaning.

Decision thresholds are not settings: they belong to
the bundle, because they only mean something together with its model.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

Options = dict[str, str | int | float | bool]

# In seconds: spans of event time beyond it are a mistake, and soon more than a clock can add.
CENTURY = 3_153_600_000
# Fewer could be tried one after another.
LEAST_KEY_BYTES = 16

# librdkafka options that would break a guarantee, and what to do instead.
REFUSED = {
    "bootstrap.servers": "set kafka.bootstrap",
    "group.id": "set kafka.group",
    "enable.auto.commit": "offsets are committed only after every output is acknowledged",
    "enable.auto.offset.store": "offsets are committed only after every output is acknowledged",
    "auto.offset.reset": "set kafka.start_from; expired offsets stop the worker instead of skipping events",
    "partition.assignment.strategy": "rebalances are cooperative, so that kept partitions are not stopped",
    "isolation.level": "events of aborted transactions must not be scored",
    "check.crcs": "a corrupt record must not be scored",
    "enable.partition.eof": "reading in event time relies on it",
    "allow.auto.create.topics": "a misspelt topic must be an error; use `streamscore topics create`",
    "enable.idempotence": "without it a retry can publish a score twice or out of order",
    "acks": "a score counts as published when all in-sync replicas have it",
    "retries": "an outage must not lose a score",
    "message.timeout.ms": "an outage must not lose a score",
    "delivery.report.only.error": "the worker counts deliveries itself",
    "max.in.flight.requests.per.connection": "more than five break the idempotent producer",
    "max.in.flight": "more than five break the idempotent producer",
    "delivery.timeout.ms": "an outage must not lose a score",
    "message.send.max.retries": "an outage must not lose a score",
    "request.required.acks": "a score counts as published when all in-sync replicas have it",
    "metadata.broker.list": "set kafka.bootstrap",
    "auto.commit.enable": "offsets are committed only after every output is acknowledged",
    "default.topic.config": "it would go round this list",
    "plugin.library.paths": "it would load foreign code into the worker",
    "transactional.id": "delivery is at least once",
    "test.mock.num.brokers": "it would replace the broker by a mock",
}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class Kafka(_Section):
    """Where events come from. `options` go to every client, `consumer` and `producer` to theirs."""

    bootstrap: str = Field("localhost:9092", description="broker addresses, host:port,host:port")
    group: str = Field("streamscore", min_length=1, description="consumer group; its workers share the partitions")
    start_from: str | None = Field(None, description="where a new group starts: latest, earliest, or an RFC 3339 time")
    options: Options = Field({}, description="librdkafka options of every client")
    consumer: Options = Field({}, description="librdkafka options of the consumers")
    producer: Options = Field({}, description="librdkafka options of the producer")

    @field_validator("start_from")
    @classmethod
    def _start(cls, value: str | None) -> str | None:
        if value in (None, "latest", "earliest"):
            return value
        try:
            zoned = datetime.fromisoformat(value).tzinfo is not None
        except ValueError:
            zoned = False
        if not zoned:
            raise ValueError("must be latest, earliest, or a time with a zone such as 2026-01-31T00:00:00Z")
        return value

    @field_validator("options", "consumer", "producer")
    @classmethod
    def _safe(cls, options: Options) -> Options:
        for name in options:
            if name in REFUSED:
                raise ValueError(f"{name} is refused: {REFUSED[name]}")
        return options


class Outputs(_Section):
    """Where scores, alerts, dead letters and the risks of challengers go."""

    scores: str = Field("scores", description="topic of scores, one per event")
    alerts: str = Field("alerts", description="topic of alerts, with reasons")
    dead_letters: str = Field("dead-letters", description="topic of records that could not be scored")
    shadow: str | None = Field(
        None, description="topic of the challenger's risks; no challenger scores while it is unset"
    )

    @property
    def topics(self) -> list[str]:
        """Every topic that is written."""
        return [topic for topic in (self.scores, self.alerts, self.dead_letters, self.shadow) if topic is not None]

    @model_validator(mode="after")
    def _apart(self) -> "Outputs":
        if self.shadow is not None and self.topics.count(self.shadow) > 1:
            raise ValueError("shadow is another output's topic")
        return self


class Batch(_Section):
    """When a micro-batch is scored: full, old enough, or nothing more waits."""

    max_events: int = Field(4096, ge=1, le=65536, description="events in a batch")
    max_age_ms: float = Field(20.0, ge=0, le=10_000, description="longest wait of the oldest event, ms")
    commit_interval_ms: float = Field(100.0, ge=1, le=60_000, description="time between commits of offsets, ms")


class Limits(_Section):
    """What is refused as a dead letter."""

    max_event_bytes: int = Field(65_536, ge=64, le=10_000_000, description="longest key and value of an event, bytes")
    max_future_seconds: float = Field(
        300.0, ge=0, le=CENTURY, description="how far occurred_at may be ahead of the clock, s"
    )


class Models(_Section):
    """Where bundles are and how often the champion is looked up."""

    store: str = Field("models", description="folder or fsspec URL of the model store")
    poll_seconds: float = Field(5.0, gt=0, le=86_400, description="time between two looks at the aliases, s")
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="where the model runs; gpu is an error on a machine without one"
    )


class History(_Section):
    """What is kept of the past of customers, terminals and others, for event types that declare it."""

    slack_seconds: float = Field(
        86_400.0, ge=0, le=CENTURY, description="how late an event may arrive and still get exact aggregates, s"
    )
    max_entities: int = Field(50_000_000, ge=1, description="largest number of entities per entity key")
    snapshots: str | None = Field(
        None, description="folder or fsspec URL of history snapshots, which make a restart quick"
    )
    snapshot_seconds: float = Field(300.0, ge=1, le=86_400, description="time between two snapshots, s")
    allow_partial: bool = Field(
        False, description="score also while history misses events that the topic no longer holds"
    )


class Archive(_Section):
    """Where the archiver writes, and when what it has read is written."""

    url: str = Field("archive", min_length=1, description="folder or URL of the archive's Delta tables")
    group: str = Field("streamscore-archiver", min_length=1, description="consumer group of the archivers")
    roll_rows: int = Field(
        500_000, ge=1, le=10_000_000, description="rows of a topic after which they are written together"
    )
    roll_bytes: int = Field(
        256_000_000, ge=1_000, description="bytes of a topic's rows in memory after which they are written"
    )
    roll_seconds: float = Field(60.0, ge=0, le=86_400, description="longest time that a row waits to be written, s")
    idle_seconds: float = Field(
        10.0, ge=0, le=86_400, description="time without a record of a topic after which its rows are written, s"
    )


class Pseudonyms(_Section):
    """Whether the archive and the history know entities by pseudonyms instead of by their ids."""

    key: SecretStr | None = Field(
        None,
        description="secret key of the pseudonyms that replace entity ids in archive and history; None keeps the ids",
    )

    @field_validator("key")
    @classmethod
    def _long(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value().encode("utf-8", "surrogatepass")) < LEAST_KEY_BYTES:
            raise ValueError(f"must have {LEAST_KEY_BYTES} bytes at least, best of chance: openssl rand -hex 32")
        return key


class Http(_Section):
    """The address of /metrics, /livez and /readyz."""

    host: str = Field("127.0.0.1", description="interface to listen on")
    port: int = Field(9464, ge=0, le=65535, description="port; 0 takes any free one")


class Settings(_Section):
    """All settings of the worker, frozen."""

    kafka: Kafka = Kafka()
    inputs: Annotated[dict[str, str], Field(min_length=1)] = Field(
        {"transactions": "transaction", "applications": "application"},
        description="event type of each topic: a built-in name, or module:NAME of your own",
    )
    labels: dict[str, str] = Field({}, description="event type of each topic of labels")
    outputs: Outputs = Outputs()
    publish_features: Literal["off", "alerts", "all"] = Field(
        "off", description="which scores carry their features: none (off), those above review (alerts), or all"
    )
    history: History = History()
    batch: Batch = Batch()
    limits: Limits = Limits()
    models: Models = Models()
    archive: Archive = Archive()
    pseudonyms: Pseudonyms = Pseudonyms()
    http: Http = Http()
    drain_seconds: float = Field(
        30.0, gt=0, le=86_400, description="longest time to finish and commit when stopping, s"
    )

    @model_validator(mode="after")
    def _no_loop(self) -> "Settings":
        """An output that is an input would be scored, and scored again."""
        both = sorted({*self.inputs, *self.labels} & set(self.outputs.topics))
        if both:
            raise ValueError(f"{', '.join(both)} is an input and an output")
        return self


def described() -> Iterator[tuple[str, str, str]]:
    """Each setting's key, default and meaning, for the documentation."""
    for name, section in Settings.model_fields.items():
        if isinstance(section.annotation, type) and issubclass(section.annotation, _Section):
            for key, field in section.annotation.model_fields.items():
                yield f"{name}.{key}", str(field.default), field.description or ""
        else:
            yield name, str(section.default), section.description or ""
