"""`streamscore archive erase`: nothing of one person in the archive, nor in snapshots of histories."""

from collections.abc import Iterator
from contextlib import suppress

from streamscore.archive.scores import UNCLAIMED
from streamscore.archive.tables import tables, upkeep
from streamscore.archive.upkeep import Person, check, erase, erase_refused
from streamscore.core.events.event_type import EventType
from streamscore.core.privacy.pseudonym import Pseudonyms
from streamscore.errors import DataError, SettingsError
from streamscore.files.read import value_types
from streamscore.registry import find_event_type
from streamscore.settings.pseudonyms import pseudonyms
from streamscore.settings.schema import Settings

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
            check(found.url(place), names.key_id if names else None)
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


def _types(settings: Settings, name: str) -> list[EventType]:
    found = {
        find_event_type(kind).name: find_event_type(kind)
        for kind in (*settings.inputs.values(), *settings.labels.values())
    }
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
