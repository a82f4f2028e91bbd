"""Where settings come from: one YAML file, `STREAMSCORE_…` variables, flags; later ones win.

Unknown keys are errors with a suggestion.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from streamscore.errors import SettingsError, did_you_mean
from streamscore.settings.schema import Settings

PREFIX = "STREAMSCORE_"
# Variables of that prefix which are not settings: where the file is, and two of the test suite.
NOT_SETTINGS = {"STREAMSCORE_CONFIG", "STREAMSCORE_REQUIRE_KAFKA", "STREAMSCORE_TEST_BOOTSTRAP"}

MASK = "********"
CREDENTIALS = re.compile(r"://[^/@]*@")  # user and password in an address
# Beside its own errors PyYAML lets through what a value with a tag of its own made it stumble over.
NOT_YAML = (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError)
SECRET_WORDS = (
    "password",
    "secret",
    "token",
    "jaas",
    "ssl.key.pem",
    "credential",
    "oauthbearer.config",
    "pseudonyms.key",
)


TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Twice(yaml.MarkedYAMLError):
    """A mapping names a key that it named before."""


class _Loader(yaml.SafeLoader):
    """YAML in which a time stays the text it is, and no key of a mapping may stand twice."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        resolvers = yaml.SafeLoader.yaml_implicit_resolvers
        self.yaml_implicit_resolvers = {
            first: [(tag, form) for tag, form in found if tag != TIMESTAMP] for first, found in resolvers.items()
        }

    def compose_mapping_node(self, anchor: Any) -> Any:
        node: Any = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _Twice(problem=key.value, problem_mark=key.start_mark)
                seen.add(key.value)
        return node


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
    return _merged(_given(file, environment, flags))


def load_settings(
    file: str | os.PathLike[str] | None = None, env: Mapping[str, str] = os.environ, **overrides: Any
) -> Settings:
    """The settings of a worker: of a YAML file, of `STREAMSCORE_…` variables, and of `overrides`; later ones win.

    An override names a key of the file; a mapping in it changes only the keys it names. SettingsError names the key and
    what is allowed.

        >>> streamscore.load_settings(env={}, batch={"max_events": 256}).batch.max_events
        256
    """
    given = _given(Path(file) if file is not None else None, env, ())
    return _merged([*given, *(([key], value, f"override {key}") for key, value in overrides.items())])[0]


def _merged(given: Iterable[tuple[list[str], Any, str]]) -> tuple[Settings, dict[str, str]]:
    """The settings of given values as (path, value, origin), weakest source first, and the origin of each."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for path, value, origin in given:
        if isinstance(value, Mapping) and _is_free(path):
            _put(values, path, {}, origin)  # given whole, it replaces what a weaker source named
        for leaf, content in _leaves(value, tuple(path)) if isinstance(value, Mapping) else [(path, value)]:
            resolved = _resolved(leaf, origin)
            _put(values, resolved, content, origin)
            origins[".".join(resolved)] = origin
    try:
        return Settings.model_validate(values), origins
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise SettingsError(
            f"{key}: {first['msg'].removeprefix('Value error, ')} (from {origins.get(key, 'settings')})"
        ) from None


def shown(settings: Settings, origins: Mapping[str, str]) -> Iterator[Origin]:
    """Each effective value with its origin; secrets masked."""
    for path, value in _leaves(settings.model_dump()):
        key = ".".join(path)
        secret = value is not None and any(word in key for word in SECRET_WORDS)
        text = MASK if secret else CREDENTIALS.sub(f"://{MASK}@", str(value))
        yield Origin(key, text, origins.get(key, "default"))


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
            raise SettingsError("--set: expected key=value")
        yield key.split("."), _parsed(text), f"--set {key}"


def _yaml(file: Path) -> dict[str, Any]:
    try:
        content = _loaded(file.read_text())
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    except _Twice as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise SettingsError(f"{file}, {line}{error.problem} is given a second time") from None
    except NOT_YAML as error:
        # Not in YAML's own words: they can hold the value, and that a password.
        mark = getattr(error, "problem_mark", None)
        raise SettingsError(f"{file} is not YAML{f', line {mark.line + 1}' if mark else ''}") from None
    if not isinstance(content or {}, dict):
        raise SettingsError(f"{file}: expected a mapping of settings")
    return content or {}


def _parsed(text: str) -> Any:
    """A flag's or variable's text; a mapping is written as YAML: `{a: b}`."""
    try:
        return _loaded(text) if text.startswith("{") else text
    except _Twice as error:
        raise SettingsError(f"a mapping gives {error.problem} a second time") from None
    except NOT_YAML:
        raise SettingsError("a value that starts with { must be a YAML mapping") from None


def _loaded(text: str) -> Any:
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


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
            hint = did_you_mean(name, model.model_fields, path[:depth])
            raise SettingsError(f"{origin}: there is no setting {'.'.join(path)}{f'; {hint}' if hint else ''}")
        annotation = model.model_fields[name].annotation
        rest = path[depth + 1 :]
        if get_origin(annotation) is dict and rest:
            # A variable's name cannot hold the dots of a librdkafka option; the name of a topic may well have a _.
            is_option = path[0] == "kafka" and origin.startswith(PREFIX)
            return [*path[: depth + 1], ".".join(rest).replace("_", ".") if is_option else ".".join(rest)]
        if rest and not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            raise SettingsError(f"{origin}: {'.'.join(path[: depth + 1])} has no settings below it")
        model = annotation if rest else model  # type: ignore[assignment]
    return path


def _is_free(path: list[str]) -> bool:
    """Whether a path leads to a mapping whose keys are not settings, such as inputs."""
    model: Any = Settings
    for name in path:
        field = getattr(model, "model_fields", {}).get(name)
        model = field.annotation if field else None
    return get_origin(model) is dict


def _put(values: dict[str, Any], path: list[str], value: Any, origin: str) -> None:
    """Set the value at a path of nested mappings."""
    for name in path[:-1]:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise SettingsError(f"{origin}: {name} was given a plain value, and has settings below it")
    values[path[-1]] = value
