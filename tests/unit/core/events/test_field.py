"""Declared fields and the columns made of them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamscore.core.events.field import UNKNOWN, Field, column, declared_fields, known, microseconds, protected


class Sample(msgspec.Struct, frozen=True):
    event_id: int = msgspec.field(name="id")
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)]
    amount: Annotated[float, msgspec.Meta(ge=0)]
    flag: bool
    level: Annotated[int, msgspec.Meta(extra=known(10, 20))]
    closed: Literal["a", "b"]
    kind: Annotated[str, msgspec.Meta(max_length=9, extra=known("x", "y") | protected())]
    text: str
    years: Annotated[int, msgspec.Meta(ge=0, extra=protected())] | None = None
    city: Annotated[str, msgspec.Meta(extra=known("Bern"))] | None = None


FIELDS = {field.name: field for field in declared_fields(Sample)}


def test_kinds() -> None:
    """A field's kind follows from its type, and declared values make it a category."""
    assert {name: field.kind for name, field in FIELDS.items()} == {
        "event_id": "number",
        "occurred_at": "time",
        "amount": "number",
        "flag": "number",
        "level": "category",
        "closed": "category",
        "kind": "category",
        "text": "text",
        "years": "number",
        "city": "category",
    }


def test_declaration_order_and_wire_names() -> None:
    """Fields stand in declaration order, and a renamed one keeps both names."""
    assert list(FIELDS) == list(Sample.__struct_fields__)
    assert FIELDS["event_id"].wire_name == "id"
    assert FIELDS["amount"].wire_name == "amount"


def test_optional_closed_protected_quoted() -> None:
    """Optional, closed, protected and quoted fields are told, through `| None` and Meta alike."""
    assert [f.name for f in FIELDS.values() if f.optional] == ["years", "city"]
    assert [f.name for f in FIELDS.values() if f.closed] == ["closed"]
    assert [f.name for f in FIELDS.values() if f.protected] == ["kind", "years"]
    assert [f.name for f in FIELDS.values() if f.quoted] == ["occurred_at", "closed", "kind", "text", "city"]


def test_codes_start_after_unknown() -> None:
    """Declared values are numbered from 1 in the order given; 0 stays for unknown ones."""
    assert FIELDS["level"].codes == {10: 1, 20: 2}
    assert FIELDS["closed"].codes == {"a": 1, "b": 2}
    assert FIELDS["text"].codes == {}


def test_only_structs_are_declarations() -> None:
    """Anything but a msgspec Struct is refused."""
    with pytest.raises(TypeError, match="not a msgspec Struct"):
        declared_fields(dict)  # type: ignore[arg-type]


def made(name: str, values: list[object]) -> np.ndarray:
    field: Field = FIELDS[name]
    return column(field, values)


def test_category_column() -> None:
    """Codes are int64; a missing and an undeclared value are UNKNOWN."""
    codes = made("city", ["Bern", None, "Basel"])
    assert codes.dtype == np.int64
    assert codes.tolist() == [1, UNKNOWN, UNKNOWN]
    assert made("level", [20, 10, 30]).tolist() == [2, 1, UNKNOWN]


def test_number_column() -> None:
    """Numbers and flags are float64; a missing one is NaN."""
    years = made("years", [7, None])
    assert years.dtype == np.float64
    assert years[0] == 7
    assert np.isnan(years[1])
    assert made("flag", [True, False]).tolist() == [1.0, 0.0]


def test_time_column_knows_zones() -> None:
    """Times are int64 microseconds of one instant, whatever zone they were written in."""
    summer = timezone(timedelta(hours=2))
    times = made("occurred_at", [datetime(1970, 1, 1, 2, 0, 1, 5, summer), datetime(1970, 1, 1, 0, 0, 1, 5, UTC)])
    assert times.dtype == np.int64
    assert times.tolist() == [1_000_005, 1_000_005]


def test_text_column_is_left_alone() -> None:
    """Text passes as it is."""
    assert made("text", ["b", "a"]) == ["b", "a"]


@pytest.mark.parametrize("name", list(FIELDS))
def test_no_events_no_rows(name: str) -> None:
    """A column of no events is empty."""
    assert len(made(name, [])) == 0


@settings(deadline=None, max_examples=200)
@given(st.datetimes(datetime(1970, 1, 1), datetime(2106, 1, 1)))  # noqa: DTZ001  the strategy wants naive bounds
def test_microseconds_are_exact(time: datetime) -> None:
    """No microsecond is lost between 1970 and 2106."""
    exact = (time.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert microseconds([time.replace(tzinfo=UTC)]).tolist() == [exact]
