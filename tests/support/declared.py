"""Event types declared in a test, around the fields it is about."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import Feature, FeatureSet


def event_type_of(*features: Feature, frozen: bool = True, **fields: Any) -> EventType:
    """An event type with an id, a customer, a time and the fields given by name, all required."""
    always = [("event_id", str), ("occurred_at", Annotated[datetime, msgspec.Meta(tz=True)]), ("customer_id", str)]
    struct = msgspec.defstruct("Declared", [*always, *fields.items()], frozen=frozen)
    return EventType("declared", struct, ("customer_id",), FeatureSet(features), "label")
