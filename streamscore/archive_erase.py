"""`streamscore archive erase`: nothing of one person in the archive, nor in snapshots of histories."""

from collections.abc import Iterator
from datetime import datetime

from streamscore.core.event_type import EventType
from streamscore.core.pseudonym import Pseudonyms
from streamscore.delta_upkeep import Person, check, erase, erase_refused, exists
from streamscore.errors import DataError, SettingsError
from streamscore.event_types import find
from streamscore.files import value_types
from streamscore.pseudonyms import pseudonyms
from streamscore.settings import Settings
from streamscore.snapshot_store import SnapshotStore

TABLES = ("events", "labels", "scores", "shadow")


def erased(settings: Settings, name: str, value: str) -> Iterator[tuple[str, int]]:
    """Erase an entity from each table that is there: the table's place and how many rows it was.

    `value` is the id that events have, also where the tables have its pseudonym. SettingsError when no event type
    has that entity, the id cannot be one of its, or the tables have pseudonyms of another key.
    """
    types = _types(settings, name)
    names = pseudonyms(settings, types)
    people = {event_type.name: _person(event_type, name, value, names) for event_type in types}
    root = settings.archive.url.rstrip("/")
    places = [(kind, f"{kind}/{table}") for kind in people for table in TABLES if exists(f"{root}/{kind}/{table}")]
    for _, place in places:  # all before the first is changed
        check(f"{root}/{place}", names.naming if names else None)
    for kind, place in places:
        yield place, erase(f"{root}/{place}", people[kind])
    if names:
        return  # of what could not be read, no bytes are kept
    for kind, place in [*((kind, f"{kind}/refused") for kind in people), (types[0].name, "refused")]:
        if exists(f"{root}/{place}"):
            yield place, erase_refused(f"{root}/{place}", people[kind].id)


def forgotten(settings: Settings, name: str, now: datetime) -> Iterator[tuple[str, int]]:
    """Remove the snapshots of each history that may hold an entity: of which event type, and how many.

    To be called when the archive does not hold it any more, or a worker that starts now learns it from there.
    DataError when the store fails, which leaves open what is removed.
    """
    if settings.history.snapshots is None:
        return
    for event_type in _types(settings, name):
        if event_type.history:
            store = SnapshotStore(settings.history.snapshots, event_type.name)
            try:
                yield event_type.name, store.erase(now)
            except Exception as error:  # the file systems of fsspec raise whatever they like
                raise DataError(f"snapshots of {event_type.name}: {type(error).__name__}: {error}; try again") from None


def _types(settings: Settings, name: str) -> list[EventType]:
    found = {find(kind).name: find(kind) for kind in (*settings.inputs.values(), *settings.labels.values())}
    types = [event_type for event_type in found.values() if name in event_type.entities]
    if not types:
        known = sorted({entity for event_type in found.values() for entity in event_type.entities})
        raise SettingsError(f"--entity: there is no entity {name}; there are {', '.join(known)}")
    return types


def _person(event_type: EventType, name: str, value: str, names: Pseudonyms | None) -> Person:
    kind = value_types(event_type)[name]
    try:
        identity = kind(value)
    except ValueError:
        raise SettingsError(f"--entity: {name} of {event_type.name} events is a {kind.__name__}") from None
    if names and name != "event_id":
        (identity,) = names.named([identity], kind is int)
    return Person(name, identity)
