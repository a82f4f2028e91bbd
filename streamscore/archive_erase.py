"""`streamscore archive erase`: nothing of one person in the archive, nor in snapshots of histories."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from streamscore.archive_scores import UNCLAIMED
from streamscore.archive_tables import tables, upkeep
from streamscore.core.event_type import EventType
from streamscore.core.pseudonym import Pseudonyms
from streamscore.delta_upkeep import Person, check, erase, erase_refused
from streamscore.errors import DataError, SettingsError
from streamscore.event_types import find
from streamscore.files import value_types
from streamscore.pseudonyms import pseudonyms
from streamscore.settings import Settings
from streamscore.snapshot_store import SnapshotStore

# What a column of whole numbers holds.
WHOLE = range(-(2**63), 2**63)
KINDS: dict[type, str] = {int: "a whole number of 64 bits"}


def erased(settings: Settings, name: str, value: str) -> Iterator[str]:
    """Erase an entity from each table that is there, and a line on each: how many rows it was.

    `value` is the id that events have, also where the tables have its pseudonym. SettingsError when no event type
    has that entity, the id cannot be one of its, or the tables have pseudonyms of another key: then nothing is
    changed. DataError after the last table when one failed, or may hold the entity and nobody knows its columns.
    """
    types = _types(settings, name)
    names = pseudonyms(settings, types)
    people = {event_type.name: _person(event_type, name, value, names) for event_type in types}
    found = tables(settings)
    places = [place for place in found.known if place.partition("/")[0] in people]
    for place in (place for place in places if not place.endswith("refused")):
        with suppress(DataError):  # of a damaged table, which is told when it is its turn
            check(found.url(place), names.naming if names else None)
    if names:  # of what could not be read, no bytes are kept
        places = [place for place in places if not place.endswith("refused")]
    elif UNCLAIMED in found.known:
        places.append(UNCLAIMED)

    def work(place: str) -> str:
        kind, _, table = place.rpartition("/")
        person = people.get(kind, people[types[0].name])
        rows = erase_refused(found.url(place), person.id) if table == "refused" else erase(found.url(place), person)
        return f"{rows:,} rows erased{', and the files that held them' if rows else ''}"

    yield from upkeep(places, work, found.others)
    if not any(place.partition("/")[0] in people for place in found.known):
        raise DataError(f"{settings.archive.url} holds no tables of {', '.join(people)} events")


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
        raise SettingsError(
            f"--entity: {name} of {event_type.name} events is {KINDS.get(kind, kind.__name__)}"
        ) from None
    if isinstance(identity, int) and identity not in WHOLE:
        raise SettingsError(f"--entity: {name} of {event_type.name} events is {KINDS[int]}")
    if names and name != "event_id":
        (identity,) = names.named([identity], kind is int)
    return Person(name, identity)
