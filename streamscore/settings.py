"""Every setting of the worker: one YAML file, `STREAMSCORE_…` variables, flags; later ones win.

Unknown keys are errors with a suggestion. Decision thresholds are not settings: they belong to
the bundle, because they only mean something together with its model.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from streamscore.errors import SettingsError

PREFIX = "STREAMSCORE_"
# Variables of that prefix which are not settings: where the file is, and two of the test suite.
NOT_SETTINGS = {"STREAMSCORE_CONFIG", "STREAMSCORE_REQUIRE_KAFKA", "STREAMSCORE_TEST_BOOTSTRAP"}

Options = dict[str, str | int | float | bool]
SECRET_WORDS = ("password", "secret", "token", "jaas", "ssl.key.pem", "credential", "oauthbearer.config")

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
    "transactional.id": "delivery is at least once",
    "test.mock.num.brokers": "it would replace the broker by a mock",
}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


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
    """Where scores, alerts and dead letters go."""

    scores: str = Field("scores", description="topic of scores, one per event")
    alerts: str = Field("alerts", description="topic of alerts, with reasons")
    dead_letters: str = Field("dead-letters", description="topic of records that could not be scored")


class Batch(_Section):
    """When a micro-batch is scored: full, old enough, or nothing more waits."""

    max_events: int = Field(4096, ge=1, le=65536, description="events in a batch")
    max_age_ms: float = Field(20.0, ge=0, le=10_000, description="longest wait of the oldest event, ms")
    commit_interval_ms: float = Field(100.0, ge=1, le=60_000, description="time between commits of offsets, ms")


class Limits(_Section):
    """What is refused as a dead letter."""

    max_event_bytes: int = Field(65_536, ge=64, le=10_000_000, description="longest event, bytes")
    max_future_seconds: float = Field(300.0, ge=0, description="how far occurred_at may be ahead of the clock, s")


class Models(_Section):
    """Where bundles are and how often the champion is looked up."""

    store: str = Field("models", description="folder or fsspec URL of the model store")
    poll_seconds: float = Field(5.0, gt=0, description="time between looks at the champion alias, s")
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="where the model runs; gpu without one is an error"
    )


class Http(_Section):
    """The address of /metrics, /livez and /readyz."""

    host: str = Field("127.0.0.1", description="interface to listen on")
    port: int = Field(9464, ge=0, le=65535, description="port; 0 takes any free one")


class Settings(_Section):
    """All settings of the worker, frozen."""

    kafka: Kafka = Kafka()
    inputs: Annotated[dict[str, str], Field(min_length=1)] = Field(
        {"transactions": "transaction", "applications": "application"},
        description="topic: event type; a built-in name, or module:NAME of your own",
    )
    outputs: Outputs = Outputs()
    batch: Batch = Batch()
    limits: Limits = Limits()
    models: Models = Models()
    http: Http = Http()
    drain_seconds: float = Field(30.0, gt=0, description="longest time to finish and commit when stopping, s")


class Origin(NamedTuple):
    """One effective value and where it came from."""

    key: str
    value: str
    origin: str


def load(
    file: Path | None, environment: Mapping[str, str], flags: Sequence[str] = ()
) -> tuple[Settings, dict[str, str]]:
    """The settings and, by dotted key, the origin of each one that is not a default.

    `flags` are `key=value` with dotted keys. SettingsError names the key and what is allowed.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for path, value, origin in _given(file, environment, flags):
        resolved = _resolved(path, origin)
        _put(values, resolved, value)
        origins[".".join(resolved)] = origin
    try:
        return Settings.model_validate(values), origins
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{key}: {first['msg']} (from {origins.get(key, 'settings')})") from None


def shown(settings: Settings, origins: Mapping[str, str]) -> Iterator[Origin]:
    """Each effective value with its origin; secrets masked."""
    for path, value in _leaves(settings.model_dump()):
        key = ".".join(path)
        text = "********" if any(word in key for word in SECRET_WORDS) else str(value)
        yield Origin(key, text, origins.get(key, "default"))


def described() -> Iterator[tuple[str, str, str]]:
    """Each setting's key, default and meaning, for the documentation."""
    for name, section in Settings.model_fields.items():
        if isinstance(section.annotation, type) and issubclass(section.annotation, _Section):
            for key, field in section.annotation.model_fields.items():
                yield f"{name}.{key}", str(field.default), field.description or ""
        else:
            yield name, str(section.default), section.description or ""


def _given(
    file: Path | None, environment: Mapping[str, str], flags: Sequence[str]
) -> Iterator[tuple[list[str], Any, str]]:
    """Every given value as (path, value, origin), weakest source first."""
    if file:
        for path, value in _leaves(_yaml(file)):
            yield path, value, str(file)
    for name, text in sorted(environment.items()):
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            yield name.removeprefix(PREFIX).lower().split("__"), _parsed(text), name
    for flag in flags:
        key, equals, text = flag.partition("=")
        if not equals:
            raise SettingsError(f"--set {flag}: expected key=value")
        yield key.split("."), _parsed(text), f"--set {key}"


def _yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(content or {}, dict):
        raise SettingsError(f"{file}: expected a mapping of settings")
    return content or {}


def _parsed(text: str) -> Any:
    """A flag's or variable's text; a mapping is written as YAML: `{a: b}`."""
    try:
        return yaml.safe_load(text) if text.startswith("{") else text
    except yaml.YAMLError:
        raise SettingsError("a value that starts with { must be a YAML mapping") from None


def _leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[list[str], Any]]:
    for name, value in values.items():
        here = (*path, str(name))
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, here)
        else:
            yield list(here), value


def _resolved(path: list[str], origin: str) -> list[str]:
    """The path to an existing setting; below a mapping of free names the rest is one name."""
    model: type[BaseModel] = Settings
    for depth, name in enumerate(path):
        if name not in model.model_fields:
            near = difflib.get_close_matches(name, model.model_fields, n=1)
            hint = f"; did you mean {'.'.join([*path[:depth], near[0]])}?" if near else ""
            raise SettingsError(f"{origin}: there is no setting {'.'.join(path)}{hint}")
        annotation = model.model_fields[name].annotation
        rest = path[depth + 1 :]
        if get_origin(annotation) is dict and rest:
            # A variable's name cannot hold the dots of a librdkafka option.
            dotted = "_".join(rest).replace("_", ".") if origin.startswith(PREFIX) else ".".join(rest)
            return [*path[: depth + 1], dotted]
        if rest and not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            raise SettingsError(f"{origin}: {'.'.join(path[: depth + 1])} has no settings below it")
        model = annotation if rest else model  # type: ignore[assignment]
    return path


def _put(values: dict[str, Any], path: list[str], value: Any) -> None:
    """Set the value at a path of nested mappings."""
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value
