"""Columns as JSON values: times of every unit, and values that JSON does not have."""

from datetime import datetime
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.files.json_values import json_values
from tests.support.samples import decoded, payment

NESTED = pa.list_(pa.timestamp("ns"))


def of_unit(kind: pa.DataType, *counts: int | None) -> pa.Array:
    """Times given as counts of their unit since 1970."""
    return pa.array(counts, pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)


def verdict(column: str, value: Any) -> tuple[str, str] | None:
    """The reason and field with which a payment of that value is refused."""
    plain = msgspec.json.decode(msgspec.json.encode(value))
    why = decoded(TRANSACTION, payment(**{column: plain})).dead_letter
    return None if why is None else (why.reason, why.field)


@pytest.mark.parametrize(("column", "kind"), [("amount", float), ("recurring", bool)])
@pytest.mark.parametrize(
    "array",
    [of_unit(pa.timestamp("ns"), 1), of_unit(pa.timestamp("s"), 2**60), of_unit(pa.timestamp("ms", "UTC"), 2**60),
     of_unit(pa.date32(), 2**31 - 1), of_unit(pa.date64(), 2**60), of_unit(pa.duration("ns"), 1),
     of_unit(pa.duration("s"), 2**60), of_unit(pa.time64("ns"), 1), pa.array([[pd.Timestamp(1)]], NESTED),
     pa.array([{"a": 1}], pa.struct({"a": pa.int64()}))],
    ids=lambda array: str(array.type),
)  # fmt: skip
def test_times_where_there_should_be_none(column: str, kind: type, array: pa.Array) -> None:
    """A time or a nested value in a column of something else travels, whatever its unit, and is refused by name."""
    (value,) = json_values(array, kind)
    assert verdict(column, value) == ("wrong_type", column)


@pytest.mark.parametrize("array", [pa.array([[pd.Timestamp(1)]], NESTED), of_unit(pa.timestamp("ms"), 2**60)])
def test_what_is_no_id(array: pa.Array) -> None:
    """A list, and a time that cannot be written, are not taken for a text."""
    (value,) = json_values(array, str)
    assert verdict("customer_id", value) == ("wrong_type", "customer_id")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("kind", "count"),
    [(pa.timestamp("s"), 2**62), (pa.timestamp("ms"), 2**62), (pa.timestamp("ms", "UTC"), 2**62),
     (pa.timestamp("us"), 2**62), (pa.date32(), 2**31 - 1), (pa.date64(), 2**62)],
    ids=str,
)  # fmt: skip
def test_times_beyond_the_calendar(kind: pa.DataType, count: int, sign: int) -> None:
    """A time that microseconds do not reach is refused; it never becomes another one."""
    (value,) = json_values(of_unit(kind, sign * count), datetime)
    assert verdict("occurred_at", value) == ("wrong_type", "occurred_at")


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("ns"), pa.date32(), pa.date64()])
def test_times_of_every_unit(kind: pa.DataType) -> None:
    """Times of every unit are read, with missing ones among them."""
    times = of_unit(pa.timestamp("s"), 1_769_817_600, None).cast(kind)
    assert json_values(times, datetime) == ["2026-01-31T00:00:00.000000Z", None]


@pytest.mark.parametrize("kind", [pa.timestamp("ns"), pa.timestamp("s"), pa.date32(), pa.duration("ns"), NESTED])
def test_missing_values_stay_missing(kind: pa.DataType) -> None:
    """What is missing is missing, in whatever column."""
    assert json_values(pa.array([None], kind), float) == [None]
    msgspec.json.encode(json_values(pa.array([None], kind), str))
