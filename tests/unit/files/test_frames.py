"""Rows in memory as wire JSON."""

import json
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from streamscore.core.events.transaction import TRANSACTION
from streamscore.files.frames import frame_lines, held
from tests.support.samples import PAYMENT, decoded

AT = "2025-06-02T10:30:00Z"
BERLIN = timezone(timedelta(hours=2))


def lines(rows: Any) -> list[bytes]:
    """Every row as wire JSON."""
    return [line for chunk in frame_lines(TRANSACTION, held(rows)) for line in chunk]


def read(field: str, value: Any) -> Any:
    """What a value of a payment is read as, from a mapping and from an object column of a frame alike."""
    payment = PAYMENT | {field: value}
    (alone,), (framed, _) = lines([payment]), lines(pd.DataFrame([payment, PAYMENT], dtype=object))
    assert alone == framed
    entry = decoded(TRANSACTION, alone)
    return getattr(entry.event, field) if entry.event else entry.dead_letter


@pytest.mark.parametrize(
    "missing", [None, np.nan, pd.NaT, pd.NA, np.float32("nan"), Decimal("nan")], ids=lambda value: type(value).__name__
)
def test_what_pandas_calls_missing_is_missing(missing: Any) -> None:
    """None, NaN, NaT and NA are no value: left out where the field is optional, refused where it is required."""
    assert read("device_id", missing) is None
    assert read("amount", missing).reason == "empty"
    assert read("occurred_at", missing).reason == "empty"


@pytest.mark.parametrize(
    "time",
    [
        datetime(2025, 6, 2, 10, 30),  # noqa: DTZ001
        datetime(2025, 6, 2, 12, 30, tzinfo=BERLIN),
        pd.Timestamp("2025-06-02 10:30"),
        pd.Timestamp("2025-06-02 12:30", tz="Europe/Berlin"),
        np.datetime64("2025-06-02T10:30:00"),
        np.datetime64("2025-06-02T10:30:00.000000000"),
        "2025-06-02 10:30:00",
        AT,
    ],
    ids=repr,
)
def test_a_time_without_a_zone_is_utc(time: Any) -> None:
    """Times of Python, NumPy and pandas are read; one without a zone is UTC, one with a zone is converted."""
    assert read("occurred_at", time) == datetime.fromisoformat(AT)


def test_a_day_is_its_midnight() -> None:
    """A date is its midnight in UTC."""
    assert read("occurred_at", date(2025, 6, 2)) == datetime.fromisoformat("2025-06-02T00:00:00Z")


@pytest.mark.parametrize("number", [42, np.int8(42), np.float32(42), Decimal("42"), Decimal("42.00"), "42"], ids=repr)
def test_numbers_of_every_kind_are_read(number: Any) -> None:
    """Scalars of NumPy, decimals and numbers written as text are numbers."""
    assert read("amount", number) == 42.0


def test_a_decimal_is_read_as_written() -> None:
    """A decimal becomes the float nearest to what it says."""
    assert read("amount", Decimal("0.1")) == 0.1


@pytest.mark.parametrize(
    "value", [object(), 1j, [1], {"a": 1}, "\ud800", b"\xff", timedelta(1)], ids=lambda value: type(value).__name__
)
def test_what_no_field_takes_is_refused_alone(value: Any) -> None:
    """A value that JSON or the field does not know makes a dead letter of its row, and never an exception."""
    assert read("amount", value).reason == "wrong_type"
    assert read("amount", value).field == "amount"


def test_an_integer_beyond_all_columns_is_refused() -> None:
    """An integer of thirty digits is no number of an event."""
    assert read("account_age", 10**30).field == "account_age"


def test_a_uuid_is_its_text() -> None:
    """An id given as a UUID is its text."""
    given = uuid.UUID(int=7)
    assert read("event_id", given) == str(given)


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "Float64", "object", "float64[pyarrow]", "category", "Sparse[float64]"]
)
def test_extension_types_are_read(dtype: str) -> None:
    """A column of numbers is read alike in every type that pandas has for it."""
    frame = pd.DataFrame([PAYMENT] * 3).assign(
        amount=pd.Series([1.5, 2.5, np.nan]).astype(pd.api.types.pandas_dtype(dtype))
    )
    values = [json.loads(line)["amount"] for line in lines(frame)]
    assert values == [1.5, 2.5, None]


@pytest.mark.parametrize("dtype", ["string", "object", "category", "string[pyarrow]"])
def test_text_types_are_read(dtype: str) -> None:
    """A column of texts is read alike in every type that pandas has for it; what is missing is left out."""
    devices = pd.Series(["d1", None]).astype(pd.api.types.pandas_dtype(dtype))
    frame = pd.DataFrame([PAYMENT] * 2).assign(device_id=devices)
    assert [json.loads(line).get("device_id") for line in lines(frame)] == ["d1", None]


def test_bytes_beside_bytes_are_read_alone() -> None:
    """Bytes that are not UTF-8 in a table's column spoil their own row only."""
    columns = {name: [value] * 2 for name, value in PAYMENT.items()} | {"currency": [b"EUR", b"\xff"]}
    good, bad = (decoded(TRANSACTION, line) for line in lines(pa.table(columns)))
    assert good.event is not None
    assert bad.dead_letter is not None


def test_what_becomes_of_a_value_does_not_depend_on_its_neighbours() -> None:
    """A row of a column with values of many classes becomes what it becomes alone."""
    values = [1, 2.5, "3", Decimal("4.5"), None, True, np.float32(1.1), object(), 2**60, b"7", pd.NA, [1]]
    rows = [PAYMENT | {"amount": value, "device_id": value} for value in values]
    assert lines(pd.DataFrame(rows, dtype=object)) == lines(rows) == [lines([row])[0] for row in rows]
