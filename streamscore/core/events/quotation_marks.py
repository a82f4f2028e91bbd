"""How many quotation marks the JSON of an event has: a count that finds keys which a decoder passes over.

msgspec reports neither a repeated nor an undeclared key. Every key and every text value is written between two
quotation marks. So a message with more marks than its event accounts for has a key too many, an explicit null, or an
escaped mark. Only such a message is parsed again. To count bytes costs a tenth of that second parse.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from streamscore.core.events.field import Event, Field


def quotation_marks(fields: Sequence[Field]) -> Callable[[Event], int]:
    """The function that counts the marks of an event whose every key is declared and written once.

    A required field has two marks for its key, and two more for a text. An optional field that is None has none.
    """
    every = sum(2 + 2 * field.quoted for field in fields)
    optional = [field for field in fields if field.optional]
    texts = values_of([field for field in optional if field.quoted])
    others = values_of([field for field in optional if not field.quoted])

    def count(event: Event) -> int:
        return every - 4 * texts(event).count(None) - 2 * others(event).count(None)

    return count


def values_of(fields: Sequence[Field]) -> Callable[[Event], tuple[Any, ...]]:
    """The function that gives an event's values of some fields, after two more that are never None."""
    # One name alone would give the value itself; with two beside it, it is a tuple.
    return attrgetter("event_id", "event_id", *(field.name for field in fields))
