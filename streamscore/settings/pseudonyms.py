"""The pseudonyms of the settings' key."""

from collections.abc import Iterable

from streamscore.core.events.event_type import EventType
from streamscore.core.privacy.pseudonym import Pseudonyms, why_not
from streamscore.errors import SettingsError
from streamscore.settings.schema import Settings


def pseudonyms(settings: Settings, event_types: Iterable[EventType]) -> Pseudonyms | None:
    """Those that the key gives, None without one; SettingsError when entities of an event type cannot have any."""
    key = settings.pseudonyms.key
    if key is None:
        return None
    for event_type in event_types:
        if why := why_not(event_type):
            raise SettingsError(f"pseudonyms.key: of {event_type.name} events, {why}")
    return Pseudonyms.of(key.get_secret_value())


def key_id(settings: Settings) -> str | None:
    """What tells the settings' pseudonyms from others; None without a key."""
    found = pseudonyms(settings, [])
    return found.key_id if found else None
