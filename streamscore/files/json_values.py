"""A column of a file as the values that JSON would have had, one for each row.

What cannot be such a value stays as it is: it travels, and decoding says what is wrong with it.
"""

import math
import re
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def json_values(array: pa.Array, kind: type) -> list[Any]:
    """A column as values that JSON writes the way a field of this type is read; None where missing."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        array = array.cast(pa.string())
    text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    if kind is datetime:
        return _times(array, text)
    if text and kind in (int, float):
        return [_number(value, kind) for value in array.to_pylist()]
    if pa.types.is_floating(array.type):
        values = _floats(array, kind)
    else:
        values = array.to_pylist() if _is_plain(array.type) else [_travelling(value) for value in array]
    return [flag(value) for value in values] if kind is bool and not pa.types.is_boolean(array.type) else values


def _is_plain(kind: pa.DataType) -> bool:
    """Whether JSON has every value of a type."""
    t = pa.types
    tests = (t.is_null, t.is_boolean, t.is_integer, t.is_decimal, t.is_string, t.is_large_string)
    return any(test(kind) for test in tests)


def _travelling(scalar: pa.Scalar) -> Any:
    """A value as JSON writes it, or as text; in a list, which no field takes, where it was nested or is unreadable."""
    try:
        value = scalar.as_py()
    except (ValueError, OverflowError):
        return [f"a {scalar.type} beyond the calendar"]
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError):
        return [str(value)] if pa.types.is_nested(scalar.type) else str(value)
    return value


# What pandas and most databases write; the parts that RFC 3339 wants are added where they are missing.
_TIME = r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d+)?)Z?$"
_DAY = r"^(\d{4}-\d\d-\d\d)$"


def _times(array: pa.Array, text: bool) -> list[Any]:
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        array = _within(array).cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.string())
    elif not text:
        return list(array.to_pylist())
    array = pc.replace_substring_regex(array, _DAY, r"\1 00:00:00")
    array = pc.replace_substring_regex(array, _TIME, r"\1T\2Z")
    return [None if value == "NaT" else value for value in array.to_pylist()]


# Microseconds, in 64 bits, reach this many of a unit from 1970: some 292,000 years.
_REACH = {"s": 9_223_372_036_854, "ms": 9_223_372_036_854_775, "day": 106_751_991}


def _within(array: pa.Array) -> pa.Array:
    """Times as near to theirs as microseconds reach: beyond, a cast would start again from the other end."""
    reach = _REACH.get("day" if pa.types.is_date32(array.type) else getattr(array.type, "unit", "ms"))
    if reach is None:
        return array
    counts = array.cast(pa.int32() if pa.types.is_date32(array.type) else pa.int64()).cast(pa.int64())
    counts = pc.min_element_wise(pc.max_element_wise(counts, -reach, skip_nulls=False), reach, skip_nulls=False)
    return (counts.cast(pa.int32()) if pa.types.is_date32(array.type) else counts).cast(array.type)


def _floats(array: pa.Array, kind: type) -> list[Any]:
    """NaN is missing; an infinity becomes text, because JSON has none and null would pass for missing."""
    numbers = array.to_numpy(zero_copy_only=False).astype(np.float64)
    values = numbers.astype(object)
    values[np.isnan(numbers)] = None
    values[np.isinf(numbers)] = "infinity"
    if kind is int:
        # Columns of integers with gaps are often kept as float64.
        whole = (np.abs(numbers) <= _EXACT) & (numbers == np.rint(numbers))
        values[whole] = numbers[whole].astype(np.int64)
    return list(values)


_EXACT = 2**53  # up to here every integer is a float64
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


def _number(text: str | None, kind: type) -> Any:
    """A number written as text; what is no number stays text."""
    if text is None or text in ("NaN", "nan"):
        return None
    if kind is int and _INTEGER.fullmatch(text):
        return int(text)
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    if math.isinf(number):
        return text
    return int(number) if kind is int and number.is_integer() and abs(number) <= _EXACT else number


_FLAGS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False, "nan": None}


def flag(value: Any) -> Any:
    """True, False or None for the ways in which files write them; other values as they are."""
    return _FLAGS.get(str(value).lower(), value)
