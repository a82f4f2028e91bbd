"""Find an event type by name or by import path: `transaction`, or `mybank.events:LOAN`."""

import importlib
import sys
from pathlib import Path
from typing import Any

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.event_type import EventType
from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import SettingsError, did_you_mean


def find_event_type(name: str) -> EventType:
    """The event type of that name or import path; SettingsError says what is there instead."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    if ":" not in name:
        hint = did_you_mean(name, BUILT_IN) or f"built in are {', '.join(BUILT_IN)}"
        raise SettingsError(f"there is no event type {name}; {hint}; your own is named module:NAME")
    found = import_by_name("event type", name)
    if not isinstance(found, EventType):
        raise SettingsError(f"{name} is a {type(found).__name__}, not an EventType")
    return found


def import_by_name(kind: str, name: str) -> Any:
    """What a user's `module:NAME` is; SettingsError says which kind of thing cannot be imported, and why."""
    module_name, _, attribute = name.partition(":")
    # A console command does not look in the folder it is run from, where a user's module lies.
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may fail in any way
        raise SettingsError(f"{kind} {name} cannot be imported: {type(error).__name__}: {error}") from None
    if not hasattr(module, attribute):
        there = [known for known, value in vars(module).items() if isinstance(value, EventType)]
        hint = f"; its event types are {', '.join(there)}" if there and kind == "event type" else ""
        raise SettingsError(f"{kind} {name} cannot be imported: {module_name} has no {attribute!r}{hint}")
    return getattr(module, attribute)


BUILT_IN = {event_type.name: event_type for event_type in (TRANSACTION, APPLICATION)}
