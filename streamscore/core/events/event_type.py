"""An event type: one declared struct, who it is about, its features and how it is judged.

This is the value a user's own module makes; `transaction.py` and `application.py` are two of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from operator import attrgetter
from typing import Any, Literal

import msgspec

from streamscore.core.events.aggregate import Aggregate, identified, measured, raw, wrong
from streamscore.core.events.feature import Feature, FeatureSet, as_is
from streamscore.core.events.field import Columns, Field, column, declared_fields, raw_column


@dataclass(frozen=True, eq=False)
class EventType:
    """Everything StreamScore knows about one kind of event.

    `entities` are the id fields the event is about, echoed on each score. `decisions` names the
    three bands from low risk to high. `label` is the column of the answer in files of labelled
    events. Training uses events older than `maturity`, when their answers are in; one without a
    label then counts as `unlabelled` says: as a negative (nobody complained) or not at all.
    `review_rate` and `decline_rate` are the shares of events that the two upper bands together,
    and the highest alone, may take: the budget from which the trainer sets the thresholds. `history`
    declares what is known of the event's entities: each aggregate is a column that features may read.
    """

    name: str
    struct: type[msgspec.Struct]
    entities: tuple[str, ...]
    features: FeatureSet
    label: str
    decisions: tuple[str, str, str] = ("approve", "review", "decline")
    unlabelled: Literal["negative", "drop"] = "negative"
    maturity: timedelta = timedelta(days=7)
    review_rate: float = 0.01
    decline_rate: float = 0.003
    history: tuple[Aggregate, ...] = ()

    def __post_init__(self) -> None:
        missing = {"event_id", "occurred_at", *self.entities} - {field.name for field in self.fields}
        if missing:
            raise ValueError(f"event type {self.name!r}: {self.struct.__name__} lacks {sorted(missing)}")
        for field in msgspec.structs.fields(self.struct):
            # The decoder finds repeated keys by counting what is present: a default must show as absent.
            if not field.required and field.default is not None:
                raise ValueError(f"event type {self.name!r}: the default of {field.name!r} must be None")
        self._check_history()
        known = {field.name for field in self.fields} | {aggregate.name for aggregate in self.history}
        for feature in self.features.features:
            unknown = set(feature.fields) - known
            if unknown:
                raise ValueError(f"feature {feature.name!r} of {self.name!r} uses unknown fields {sorted(unknown)}")
        self._check_categories()
        unranged = [field.name for field in self._featured if not field.ranged]
        if unranged:
            raise ValueError(f"event type {self.name!r}: {unranged} feed features and must declare ge and le")

    def _check_categories(self) -> None:
        """A feature that is a category's code has as many categories as there are codes, UNKNOWN included."""
        codes = {field.name: len(field.codes) + 1 for field in self.fields if field.kind == "category"}
        for feature in self.features.features:
            if feature.function is as_is and feature.fields[0] in codes and feature.categories:
                needed = codes[feature.fields[0]]
                if feature.categories != needed:
                    raise ValueError(
                        f"feature {feature.name!r} of {self.name!r} has {feature.categories} categories, and "
                        f"{feature.fields[0]!r} {needed}: those declared, and one for all others"
                    )

    def _check_history(self) -> None:
        names = [aggregate.name for aggregate in self.history]
        for aggregate in self.history:
            problem = "is declared twice" if names.count(aggregate.name) > 1 else wrong(aggregate, self.fields)
            if aggregate.kind == "risk" and not problem and not set(aggregate.entity) <= set(self.entities):
                problem = f"needs an entity among {list(self.entities)}: labels tell no other"
            if problem:
                raise ValueError(f"history {aggregate.name!r} of {self.name!r} {problem}")

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        return declared_fields(self.struct)

    def wire_name(self, name: str) -> str:
        """What a field is called in JSON."""
        return next(field.wire_name for field in self.fields if field.name == name)

    def category(self, name: str, code: int) -> str:
        """The declared value of a category's code, in words."""
        return self._categories.get(name, {}).get(code, "none of the usual")

    def codes(self, feature: Feature) -> dict[int, str]:
        """The declared values of a feature that is a category's code, by code; empty for any other feature."""
        name, coded = feature.fields[0], feature.function is as_is and feature.categories
        return {code: self.category(name, code) for code in range(feature.categories)} if coded else {}

    @cached_property
    def _categories(self) -> dict[str, dict[int, str]]:
        return {
            field.name: {code: str(value).replace("_", " ") for value, code in field.codes.items()}
            for field in self.fields
        }

    @cached_property
    def _featured(self) -> tuple[Field, ...]:
        """The fields that features and history read as numbers; the others never become columns."""
        used = {name for feature in self.features.features for name in feature.fields} | measured(self.history)
        used |= {"occurred_at"} if self.history else set()
        return tuple(field for field in self.fields if field.name in used)

    def columns(self, events: Sequence[Any]) -> Columns:
        """The columns that this type's features and history need, of decoded events; not yet those of its history."""
        fields = (*self._featured, *self.identified)
        values = iter(zip(*map(self._values, events), strict=True) if events else [()] * len(fields))
        columns = {field.name: column(field, next(values)) for field in self._featured}
        return columns | {raw(field.name): raw_column(field, next(values)) for field in self.identified}

    @cached_property
    def identified(self) -> tuple[Field, ...]:
        """The fields whose values are ids to history: `raw` names their columns."""
        names = identified(self.history)
        return tuple(field for field in self.fields if field.name in names)

    @cached_property
    def _values(self) -> Any:
        names = [field.name for field in (*self._featured, *self.identified)]
        if len(names) == 1:
            return lambda event: (getattr(event, names[0]),)
        return attrgetter(*names)

    @cached_property
    def entities_of(self) -> Callable[[Any], msgspec.Struct]:
        """The function that gives an event's entity ids, as a struct with a field for each."""
        ids = msgspec.defstruct("Entities", [(name, str | int) for name in self.entities], frozen=True, gc=False)
        values = attrgetter(*self.entities)
        if len(self.entities) == 1:
            return lambda event: ids(values(event))
        return lambda event: ids(*values(event))

    def may_be_reason(self, feature: Feature) -> bool:
        """Whether a feature may be named as a reason: no protected field feeds it."""
        protected = {field.name for field in self.fields if field.protected}
        protected |= {aggregate.name for aggregate in self.history if not protected.isdisjoint(aggregate.sources)}
        return protected.isdisjoint(feature.fields)
