"""Which topics the archiver reads, and which tables the records of each go to."""

from collections.abc import Iterable
from typing import NamedTuple

from streamscore.archive.pseudonyms import hidden
from streamscore.archive.rows import ToRows, event_rows, label_rows
from streamscore.archive.scores import UNCLAIMED, score_rows
from streamscore.archive.shadow import SHADOW, shadow_rows
from streamscore.core.events.decode import Limits
from streamscore.core.events.event_type import EventType
from streamscore.errors import SettingsError
from streamscore.registry import find_event_type
from streamscore.settings.pseudonyms import pseudonyms
from streamscore.settings.schema import Settings


class Route(NamedTuple):
    """What becomes of the records of a topic: rows of these tables, which are written in this order.

    The last one is written with every roll, with rows or without: how far it is, is how far the archive is.
    """

    tables: tuple[str, ...]
    rows: ToRows


def routes(settings: Settings) -> dict[str, Route]:
    """The route of each topic.

    SettingsError when two event types have one name, or one that cannot be a folder's, or can have no pseudonyms.
    """
    limits = Limits(settings.limits.max_event_bytes, settings.limits.max_future_seconds)
    inputs = {topic: find_event_type(name) for topic, name in settings.inputs.items()}
    labels = {topic: find_event_type(name) for topic, name in settings.labels.items()}
    types = _by_name([*inputs.values(), *labels.values()])
    outputs, all_types = settings.outputs, list(types.values())
    scores = Route((*(f"{name}/scores" for name in types), UNCLAIMED), score_rows(all_types))
    shadow = Route((*(f"{name}/{SHADOW}" for name in types), UNCLAIMED), shadow_rows(all_types))
    found = {
        **{t: Route((f"{e.name}/refused", f"{e.name}/events"), event_rows(e, limits)) for t, e in inputs.items()},
        **{t: Route((f"{e.name}/refused", f"{e.name}/labels"), label_rows(e, limits)) for t, e in labels.items()},
        outputs.scores: scores,
        **({outputs.shadow: shadow} if outputs.shadow is not None else {}),
    }
    names = pseudonyms(settings, types.values())
    if names is None:
        return found
    return {topic: route._replace(rows=hidden(route.rows, types, names)) for topic, route in found.items()}


def is_place(name: str) -> bool:
    """Whether the tables of an event type of that name can be below the archive's URL."""
    return name.replace("_", "").replace("-", "").isalnum() and name != UNCLAIMED


def _by_name(event_types: Iterable[EventType]) -> dict[str, EventType]:
    found: dict[str, EventType] = {}
    for event_type in event_types:
        if found.setdefault(event_type.name, event_type) is not event_type:
            raise SettingsError(f"two event types are named {event_type.name}")
        if not is_place(event_type.name):
            raise SettingsError(f"event type {event_type.name!r}: its name cannot be that of a folder of the archive")
    return found
