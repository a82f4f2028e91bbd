"""Pseudonyms: names that replace the ids of entities in what is kept. Only the holder of the key can relate the two.

    id, key → BLAKE2b → a text of 32 hexadecimal digits; of an integer one of 63 bits, as its column holds

The id alone counts, not the field or event type that it stands in: whoever is sender here and receiver there, whose
labels and scores are in other tables, has one pseudonym in all of them. So what joined by id joins by pseudonym.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any, get_type_hints

import msgspec
import numpy as np

from streamscore.core.events.aggregate import measured, raw
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Columns, Field, raw_column

# Two ids share one where there are some 2**64 texts, or three thousand million integers.
DIGEST_BYTES, WHOLE_BITS = 16, 63
EXTREMES: dict[bool, tuple[str | int, ...]] = {False: ("f" * 2 * DIGEST_BYTES,), True: (0, (1 << WHOLE_BITS) - 1)}


@dataclass(frozen=True)
class Pseudonyms:
    """The names that one key gives. BLAKE2b in its keyed mode (RFC 7693, 2.9), personalised for this use."""

    key: bytes = field(repr=False)  # of 64 bytes at most

    @classmethod
    def of(cls, secret: str) -> "Pseudonyms":
        """The names of a key of any length."""
        return cls(blake2b(secret.encode("utf-8", "surrogatepass")).digest())

    @cached_property
    def key_id(self) -> str:
        """An id of the key, which says nothing of the key itself. It is kept beside the key's pseudonyms."""
        return blake2b(key=self.key, digest_size=DIGEST_BYTES, person=b"streamscore key").hexdigest()

    @cached_property
    def _begun(self) -> Any:
        """The hash once it has read the key, which is half of the work."""
        return blake2b(key=self.key, digest_size=DIGEST_BYTES, person=b"streamscore id")

    def named(self, ids: Sequence[str | int | None], whole: bool) -> list[Any]:
        """The pseudonyms of ids, integers of `whole` ones, each different one hashed once; None stays None."""
        different = [one for one in dict.fromkeys(ids) if one is not None]
        names: dict[Any, Any] = dict(zip(different, self.each(different, whole), strict=True))
        return list(map(names.get, ids))

    def each(self, ids: Sequence[str | int], whole: bool) -> list[Any]:
        """The pseudonyms of ids that are all different and not None."""
        try:
            contents = list(map(str.encode, map(str, ids)))
        except UnicodeEncodeError:  # half of a surrogate pair
            contents = [str(one).encode("utf-8", "surrogatepass") for one in ids]
        found, copy = [], self._begun.copy
        for content in contents:
            digest = copy()
            digest.update(content)
            found.append(digest.hexdigest())
        return [int(text, 16) >> 8 * DIGEST_BYTES - WHOLE_BITS for text in found] if whole else found

    def columns(self, event_type: EventType, columns: Columns) -> Columns:
        """The columns of events or labels with the entities' pseudonyms for their raw ids: what a history takes."""
        found = dict(columns)
        for entity in pseudonymised(event_type):
            ids = columns.get(raw(entity.name), ())
            if len(ids):
                listed = ids.tolist() if isinstance(ids, np.ndarray) else ids
                found[raw(entity.name)] = raw_column(entity, self.named(listed, entity.whole))
        return found


def pseudonymised(event_type: EventType) -> Iterable[Field]:
    """The fields of an event type that hold pseudonyms where they are kept: its entities, never its `event_id`."""
    return (entity for entity in event_type.fields if entity.name in event_type.entities and entity.name != "event_id")


def why_not(event_type: EventType) -> str | None:
    """Why the entities of an event type cannot have pseudonyms, or None."""
    hints = get_type_hints(event_type.struct, include_extras=True)
    read = {name for feature in event_type.features.features for name in feature.fields} | measured(event_type.history)
    for entity in pseudonymised(event_type):
        if entity.kind != "text" and not (entity.kind == "number" and entity.whole):
            return f"{entity.name} is neither a text nor an integer"
        if entity.name in read:
            return f"{entity.name} feeds features, which would read its pseudonyms"
        if not all(_holds(hints[entity.name], value) for value in EXTREMES[entity.whole]):
            wanted = (
                f"any integer below 2**{WHOLE_BITS}" if entity.whole else f"a text of {2 * DIGEST_BYTES} characters"
            )
            return f"{entity.name} is declared too narrow for a pseudonym, which is {wanted}"
    return None


def wrong_key(found: str | None, ours: str | None) -> str | None:
    """Why what was kept under one key's names, or under none, cannot be used with another's; None where it can."""
    if found == ours:
        return None
    if found is None:
        return "its entities go by their ids, and pseudonyms.key is set"
    if ours is None:
        return "its entities go by pseudonyms, and pseudonyms.key is not set"
    return "its entities go by pseudonyms of another key than pseudonyms.key"


def _holds(hint: Any, value: str | int) -> bool:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return True
