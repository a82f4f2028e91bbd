"""Groups of events by the value of a field: its frequent values, or bands of a number, and the missing ones."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from streamscore.core.events.event_type import EventType
from streamscore.errors import SettingsError, did_you_mean
from trainer.data.row_store import StoredEvents
from trainer.settings import TrainingSettings

# Each of the 20 most frequent values of a field is a group. A number with more values is cut into 5 bands.
VALUES, BANDS = 20, 5


class Group(NamedTuple):
    """The rows with one value of a field: bool (rows,)."""

    field: str
    value: str
    rows: np.ndarray

    @property
    def name(self) -> str:
        return f"{self.field} {self.value}"


def fields_of(listed: str) -> list[str]:
    """The fields of a comma-separated setting, each once."""
    return list(dict.fromkeys(name for name in map(str.strip, listed.split(",")) if name))


def check(event_type: EventType, settings: TrainingSettings) -> None:
    """SettingsError where a setting names a field that events do not have."""
    known = [field.name for field in event_type.fields]
    for setting in ("segments", "fairness"):
        unknown = [name for name in fields_of(getattr(settings, setting)) if name not in known]
        if unknown:
            meant = did_you_mean(unknown[0], known) or f"it has {', '.join(known)}"
            raise SettingsError(f"{setting}: {event_type.name} has no field {unknown[0]}; {meant}")


def groups(events: StoredEvents, rows: np.ndarray, fields: Sequence[str]) -> list[Group]:
    """The groups of rows, int (rows,) in ascending order, by each of the fields; none is empty."""
    return [group for name in fields for group in _of(name, events.take(rows, [name])[name].to_pandas())]


def _of(name: str, values: pd.Series) -> list[Group]:
    counts, absent = values.value_counts(), values.isna().to_numpy(bool)
    if pd.api.types.is_numeric_dtype(values) and len(counts) > VALUES:
        found = _bands(name, values.to_numpy(np.float64))
    else:
        found = [Group(name, _text(value), (values == value).to_numpy(bool)) for value in counts.index[:VALUES]]
    # In brackets: a field may have the text.
    return [*found, Group(name, "(missing)", absent)] if absent.any() else found


def _text(value: object) -> str:
    """A value as text, unambiguous. Whole numbers in a column with missing values arrive as floats.

    A text with unprintable characters, which could steer a terminal, is written as Python's repr.
    """
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return text if text.isprintable() else repr(text)


def _bands(name: str, values: np.ndarray) -> list[Group]:
    """Bands of about equal mass, named by the least and largest value in each."""
    cuts = np.unique(np.nanquantile(values, np.arange(1, BANDS) / BANDS))
    band = np.where(np.isnan(values), -1, np.searchsorted(cuts, values, side="right"))
    rows = (band == number for number in range(len(cuts) + 1))
    return [
        Group(name, f"{values[inside].min():.6g} to {values[inside].max():.6g}", inside)
        for inside in rows
        if inside.any()
    ]
