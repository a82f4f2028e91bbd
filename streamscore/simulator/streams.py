"""Simulated streams of both event types, for the demo, tests, benchmarks and training archives.

Everything follows from the arguments: the same ones give the same rows with the same NumPy. No
function here reads a clock or a global random state.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import DAY, HOUR
from streamscore.core.events.field import Field
from streamscore.simulator import applications as simulated_applications
from streamscore.simulator import transactions as simulated_transactions

# Events in each hour of the day (UTC), relative to each other.
RHYTHM = np.array([6, 4, 3, 3, 4, 8, 20, 40, 55, 60, 65, 75, 85, 75, 65, 65, 75, 90, 95, 80, 55, 35, 20, 10])
HOURS = np.arange(25) * float(HOUR)
# The share of a day's events that has happened at each full hour, as a time of day in microseconds.
PROGRESS = np.append(0.0, np.cumsum(RHYTHM)) / RHYTHM.sum() * DAY


@dataclass(frozen=True)
class Simulated:
    """Labelled events as columns, in the order in which they occurred.

    `columns` has one array of shape (rows,) per field of the event's struct, by field name:
    `occurred_at` int64 microseconds since 1970 UTC, text and categories as object arrays with None
    where missing, numbers as int64, or float64 with NaN where missing, flags as bool. `kind` says
    what each row really is ("genuine" or the name of a fraud; "repaid" or "default"), `label` is
    True for the kinds that a model should find, and `labelled_at` is when the label became known,
    in int64 microseconds since 1970 UTC.
    """

    columns: dict[str, np.ndarray]
    kind: np.ndarray
    label: np.ndarray
    labelled_at: np.ndarray


def transactions(rows: int, start: int, rate: float, seed: int, first: int = 0) -> Simulated:
    """Card payments after `start` (microseconds since 1970 UTC), about one in a hundred a fraud.

    `rate` is in events per second of event time, on average over a day: nights are quieter. Event
    ids are numbered from `first`: an endless stream is a sequence of calls with the same seed, each
    starting where the one before ended. Customers and terminals depend on the seed alone.
    """
    random = _random(seed, 1, first)
    occurred_at = _occurrences(rows, start, rate, random)
    columns, code = simulated_transactions.draw(occurred_at, seed, random)
    fraud = code != simulated_transactions.GENUINE
    # Holders notice a fraud within days to weeks; a payment not disputed for a month was genuine.
    days = np.where(fraud, 1 + random.exponential(6.0, rows).clip(max=29), random.uniform(31, 45, rows))
    kind = np.array(simulated_transactions.KINDS, object)[code]
    identity = {"event_id": _event_ids("tx", seed, first, rows), "occurred_at": occurred_at}
    return Simulated(identity | columns, kind, fraud, occurred_at + (days * DAY).astype(np.int64))


def applications(rows: int, start: int, rate: float, seed: int, first: int = 0) -> Simulated:
    """Requests for credit, more than one in five of which defaults; arguments as in `transactions`."""
    random = _random(seed, 2, first)
    occurred_at = _occurrences(rows, start, rate, random)
    columns, default = simulated_applications.draw(occurred_at, seed, random)
    # Most defaults show in the first instalments; that a credit runs well is settled within the year.
    days = np.where(default, 60 + 305 * random.random(rows) ** 2, random.uniform(180, 365, rows))
    kind = np.array(["repaid", "default"], object)[default.astype(np.int64)]
    identity = {"event_id": _event_ids("ap", seed, first, rows), "occurred_at": occurred_at}
    return Simulated(identity | columns, kind, default, occurred_at + (days * DAY).astype(np.int64))


def json_lines(event_type: EventType, simulated: Simulated) -> list[bytes]:
    """Each row as the JSON that the event type decodes: wire names, missing values left out."""
    row = _wire_row(event_type)
    values = (_json_values(field, simulated.columns[field.name]) for field in event_type.fields)
    return list(map(msgspec.json.Encoder().encode, map(row, *values)))


def keys(event_type: EventType, simulated: Simulated) -> list[bytes]:
    """The Kafka key of each row: the first entity's id, so that an entity's events keep their order."""
    return [entity.encode() for entity in simulated.columns[event_type.entities[0]]]


def _random(seed: int, stream: int, first: int) -> np.random.Generator:
    """The generator of one call: independent of the worlds' and of other chunks' generators."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream, first)))


def _event_ids(prefix: str, seed: int, first: int, rows: int) -> np.ndarray:
    return np.array([f"{prefix}-{seed:x}-{number}" for number in range(first, first + rows)], object)


def _occurrences(rows: int, start: int, rate: float, random: np.random.Generator) -> np.ndarray:
    """Non-decreasing times after `start`: a Poisson process whose rate follows the hour of the day.

    Progress is time that runs fast in busy hours and slowly in quiet ones: in it, the process is
    an even one, so its gaps are exponential.
    """
    midnight, since_midnight = divmod(start, DAY)
    gaps = random.exponential(1e6 / rate, rows)
    days, progress = np.divmod(np.interp(since_midnight, HOURS, PROGRESS) + np.cumsum(gaps), DAY)
    time_of_day = np.interp(progress, PROGRESS, HOURS).astype(np.int64)
    # Rounding may take the first ones a microsecond back.
    return np.maximum((midnight + days.astype(np.int64)) * DAY + time_of_day, start)


def _wire_row(event_type: EventType) -> type[msgspec.Struct]:
    """A struct of the event's wire names that takes any value and leaves None out."""
    return msgspec.defstruct(
        f"{event_type.struct.__name__}Row",
        [(field.name, Any, None) for field in event_type.fields],
        rename={field.name: field.wire_name for field in event_type.fields},
        omit_defaults=True,
        gc=False,
    )


def _json_values(field: Field, values: np.ndarray) -> list[Any]:
    """One column as Python values: times as RFC 3339 text, missing numbers as None."""
    if field.kind == "time":
        times: list[Any] = np.datetime_as_string(values.view("datetime64[us]"), timezone="UTC").tolist()
        return times
    if values.dtype != np.float64:
        return list(values.tolist())
    missing = np.isnan(values)
    numbers = np.where(missing, 0, values).astype(np.int64 if field.value_type is int else np.float64).astype(object)
    numbers[missing] = None
    return list(numbers)
