"""The reference of the Python API: each public name with its signature and docstring."""

import inspect
import os
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, get_origin

from pydantic import BaseModel

from streamscore.core.events.event_type import EventType

WIDTH = 100


def python_reference(module: ModuleType) -> str:
    """Every name of a module's `__all__`: functions and classes first, errors and constants after them."""
    found = [(name, getattr(module, name)) for name in module.__all__]
    return "\n\n".join(
        "\n".join(_section(f"{module.__name__}.{name}", value)).strip() for name, value in sorted(found, key=_order)
    )


def _order(named: tuple[str, Any]) -> tuple[int, str]:
    """Models and events first, then functions, errors, and at last values."""
    name, value = named
    if isinstance(value, EventType) or get_origin(value):
        return 3, name
    if isinstance(value, type):
        return (2 if issubclass(value, Exception) else 0), name
    return 1, name


def _section(name: str, value: Any) -> Iterator[str]:
    """The lines on one public name."""
    yield f"### {name}"
    yield ""
    if isinstance(value, EventType):
        yield f"The built-in event type `{value.name}`: an [EventType](#streamscoreeventtype)."
        return
    if get_origin(value):
        yield f"The type `{_short(str(value))}`."
        return
    if isinstance(value, type) and issubclass(value, Exception):
        parents = " and ".join(f"`{parent.__name__}`" for parent in value.__bases__)
        yield f"A kind of {parents}. The process ends with exit code {getattr(value, 'exit_code', 1)}."
        yield ""
    elif not (isinstance(value, type) and issubclass(value, BaseModel)):
        yield from ["```text", _signature(name, value), "```", ""]
    yield from _words(value)
    if isinstance(value, type) and issubclass(value, BaseModel):
        yield "Its fields are the [settings](settings.md)."
    elif isinstance(value, type) and not issubclass(value, Exception):
        yield from _members(value)


def _members(owner: type) -> Iterator[str]:
    """The public methods and properties of a class, in the order of its source."""
    for name, member in vars(owner).items():
        if name.startswith("_") or not getattr(member, "__doc__", None):
            continue
        if isinstance(member, property):
            yield from ["", f"**`{name}`** (property): {' '.join((member.__doc__ or '').split())}"]
        elif inspect.isfunction(member):
            yield from ["", "```text", _signature(f"{owner.__name__}.{name}", member), "```", ""]
            yield from _words(member)


def _words(value: Any) -> list[str]:
    """The docstring, with its examples in fences."""
    lines: list[str] = []
    inside = False
    for line in inspect.cleandoc(value.__doc__ or "").splitlines():
        if line.strip().startswith(">>>") and not inside:
            lines += ["", "```pycon"]
            inside = True
        if inside and not line.strip():
            lines += ["```"]
            inside = False
        lines.append(line.strip() if inside else line)
    return [*lines, "```"] if inside else lines


def _signature(name: str, value: Any) -> str:
    """A call with annotations by their short names, one parameter a line where it would be long."""
    signature = inspect.signature(value)
    parameters = [_named_default(p) for p in signature.parameters.values() if p.name != "self"]
    text = _short(str(signature.replace(parameters=parameters)))
    if len(name) + len(text) <= WIDTH:
        return f"{name}{text}"
    words = [_short(str(parameter)) for parameter in parameters]
    for n, parameter in enumerate(parameters):
        if parameter.kind is parameter.KEYWORD_ONLY:
            words.insert(n, "*")
            break
    returned = text[text.rindex(")") + 1 :] if "->" in text else ""
    return f"{name}(\n" + "".join(f"    {word},\n" for word in words) + f"){returned}"


def _named_default(parameter: inspect.Parameter) -> inspect.Parameter:
    """A parameter whose default is named where its text differs between machines and runs."""
    if parameter.default is os.environ:
        return parameter.replace(default=_Named("os.environ"))
    if inspect.isfunction(parameter.default):
        return parameter.replace(default=_Named(parameter.default.__name__))
    return parameter


class _Named(str):
    """A text that is written without quotation marks."""

    __slots__ = ()
    __repr__ = str.__str__


def _short(text: str) -> str:
    """Types without their modules, and without the quotation marks of those that are imported late."""
    return re.sub(r"'([A-Z]\w*)'", r"\1", re.sub(r"(?:\w+\.)+(?=[A-Za-z_])", "", text)).replace(" -> None", "")
