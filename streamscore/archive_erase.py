"""`streamscore archive erase`: nothing of one person in the archive."""

from collections.abc import Iterator

from streamscore.core.event_type import EventType
from streamscore.delta_upkeep import Person, erase, erase_refused, exists
from streamscore.errors import SettingsError
from streamscore.event_types import find
from streamscore.files import value_types
from streamscore.settings import Settings


def erased(settings: Settings, name: str, value: str) -> Iterator[tuple[str, int]]:
    """Erase an entity from each table that is there: the table's place and how many rows it was.

    SettingsError when no event type has that entity, or the id cannot be one of its.
    """
    found = {find(kind).name: find(kind) for kind in (*settings.inputs.values(), *settings.labels.values())}
    types = [event_type for event_type in found.values() if name in event_type.entities]
    if not types:
        known = sorted({entity for event_type in found.values() for entity in event_type.entities})
        raise SettingsError(f"--entity: there is no entity {name}; there are {', '.join(known)}")
    root = settings.archive.url.rstrip("/")
    for event_type in types:
        person = _person(event_type, name, value)
        for table in ("events", "labels", "scores", "refused"):
            place = f"{event_type.name}/{table}"
            if exists(f"{root}/{place}"):
                erase_one = erase_refused if table == "refused" else erase
                yield place, erase_one(f"{root}/{place}", person)
    if exists(f"{root}/refused"):
        yield "refused", erase_refused(f"{root}/refused", _person(types[0], name, value))


def _person(event_type: EventType, name: str, value: str) -> Person:
    kind = value_types(event_type)[name]
    try:
        return Person(name, event_type.wire_name(name), kind(value))
    except ValueError:
        raise SettingsError(f"--entity: {name} of {event_type.name} events is a {kind.__name__}") from None
