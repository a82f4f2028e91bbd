"""Valid events of any event type, drawn from what its struct declares."""

import json
from datetime import datetime
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from examples import german, handbook, taiwan
from streamscore.core.events.event_type import EventType
from streamscore.core.events.field import Field
from streamscore.registry import BUILT_IN

EVENT_TYPES = [*BUILT_IN.values(), handbook.TRANSACTION, german.APPLICATION, taiwan.APPLICATION]

TIMES = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001  the strategy wants naive bounds and adds the zone itself
    datetime(2025, 12, 31),  # noqa: DTZ001
).map(lambda time: time.isoformat() + "Z")
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def bodies(event_type: EventType) -> st.SearchStrategy[dict[str, Any]]:
    """Valid events as plain values: required fields always, optional ones, or null, now and then."""
    required = {f.wire_name: values(event_type, f) for f in event_type.fields if not f.optional}
    optional = {f.wire_name: st.none() | values(event_type, f) for f in event_type.fields if f.optional}
    return st.fixed_dictionaries(required, optional=optional)


def messages(event_type: EventType) -> st.SearchStrategy[bytes]:
    """Valid events as JSON, with or without whitespace and escapes."""
    styles = st.sampled_from([{}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"indent": 1}])
    return st.tuples(bodies(event_type), styles).map(lambda pair: json.dumps(pair[0], **pair[1]).encode())


def values(event_type: EventType, field: Field) -> st.SearchStrategy[Any]:
    """What one field may hold."""
    kind, limits = declared(event_type, field)
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if kind is datetime:
        return TIMES
    if kind is bool:
        return st.booleans()
    if kind is str:
        shortest, longest = limits.get("min_length", 0), limits.get("max_length", 20)
        known = [code for code in field.codes if shortest <= len(code) <= longest]
        free = st.builds(lambda text, pad: (text + pad * shortest)[:longest], TEXT, st.just("x"))
        return st.sampled_from(known) | free if known else free
    if kind is int:
        low, high = limits.get("ge", -(2**53)), limits.get("le", 2**53)
        return st.sampled_from(sorted(field.codes)) | st.integers(low, high) if field.codes else st.integers(low, high)
    return st.floats(
        limits.get("ge", limits.get("gt", -1e9)), limits.get("le", 1e9), exclude_min="gt" in limits, allow_nan=False
    ).map(lambda value: round(value, 2) or float("gt" in limits))


def declared(event_type: EventType, field: Field) -> tuple[Any, dict[str, Any]]:
    """A field's own type and the limits of its Meta, without `| None`."""
    hint: Any = get_type_hints(event_type.struct, include_extras=True)[field.name]
    limits: dict[str, Any] = {}
    while hasattr(hint, "__metadata__") or type(None) in get_args(hint):
        for meta in getattr(hint, "__metadata__", ()):
            if isinstance(meta, msgspec.Meta):
                names = ("ge", "gt", "le", "lt", "min_length", "max_length")
                limits |= {name: found for name in names if (found := getattr(meta, name)) is not None}
        hint = (
            hint.__origin__ if hasattr(hint, "__metadata__") else next(a for a in get_args(hint) if a is not type(None))
        )
    return hint, limits
