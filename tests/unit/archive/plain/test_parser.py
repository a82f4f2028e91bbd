"""A plainly written event says exactly what `decode` finds; of any other nothing is said."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct, field

from streamscore.archive.plain.fields import plan
from streamscore.archive.plain.rows import Sort, Sorted, sorter
from streamscore.archive.schemas import schemas
from streamscore.core.events.application import APPLICATION
from streamscore.core.events.decode import Limits, decode
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import FeatureSet
from streamscore.core.events.label import label_type
from streamscore.core.events.record import Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.simulator import streams as simulator
from tests.support.running import START, transactions

NOW = datetime(2026, 2, 1, tzinfo=UTC)
SMALL = Limits(max_bytes=2000)


class Every(Struct, frozen=True, gc=False):
    """One field of each kind, under a name of its own on the wire."""

    event_id: Annotated[str, Meta(min_length=1, max_length=8)] = field(name="id")
    occurred_at: Annotated[datetime, Meta(tz=True)] = field(name="at")
    amount: Annotated[float, Meta(ge=-10, le=1e6)] = field(name="amount")
    price: float = field(name="price")
    count: int = field(name="count")
    flag: bool = field(name="flag")
    kind: Literal["a", "bc"] = field(name="kind")
    note: str | None = field(default=None, name="note")
    age: Annotated[int, Meta(gt=-1, lt=151)] | None = field(default=None, name="age")
    share: Annotated[float, Meta(gt=0, lt=1)] | None = field(default=None, name="share")
    seen_at: datetime | None = field(default=None, name="seen")


EVERY = EventType("every", Every, ("event_id",), FeatureSet(()), "bad")


def sort_of(event_type: EventType) -> Sort:
    return sorter(event_type, pa.schema(list(schemas(event_type).events)[4:]), SMALL, ["occurred_at"])


SORT = sort_of(EVERY)


def record(value: bytes | None, offset: int = 0, **fields: Any) -> Record:
    return msgspec.structs.replace(Record("t", 0, offset, -1, None, value, None), **fields)


def agrees(event_type: EventType, sort: Sort, records: list[Record]) -> Sorted:
    """Sort records, and hold what is plain against what `decode` finds in each."""
    found = sort(records, NOW)
    assert sorted(r.offset for r in (*found.records, *found.others)) == sorted(r.offset for r in records)
    entries = decode(event_type, found.records, NOW, SMALL)
    rows = zip(*(column.to_pylist() for column in found.columns), strict=True) if found.records else ()
    for entry, row in zip(entries, rows, strict=True):
        assert entry.event is not None, (entry.record.value, entry.dead_letter)
        assert entry.ignored == 0
        said = msgspec.structs.astuple(cast(msgspec.Struct, entry.event))
        assert repr([_in_utc(value) for value in said]) == repr([_in_utc(value) for value in row]), entry.record.value
    return found


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def pairs(**values: Any) -> dict[str, Any]:
    given = {"id": "x", "at": "2026-01-31T23:59:59Z", "amount": 1.5, "price": 2, "count": 3, "flag": True, "kind": "bc"}
    return given | values


# Spellings of a value, most of them not plain and some no JSON.
SPELT = st.one_of(
    st.floats().map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(json.dumps),
    st.integers().map(str),
    st.decimals(-(10**7), 10**7, places=3).map(str),
    st.text(max_size=10).map(json.dumps),
    st.text(max_size=10).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.datetimes(datetime(1960, 1, 1), datetime(2030, 1, 1)).map(lambda at: f'"{at.isoformat()}Z"'),  # noqa: DTZ001
    st.from_regex(
        r'"20[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,7})?(Z|z|\+01:00)?"', fullmatch=True
    ),
    st.from_regex(r"-?[0-9]{0,20}(\.[0-9]{0,20})?([eE]-?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["true", "false", "null", "tru", "True", "[]", "{}", '"a"', '"bc"']),
    st.sampled_from(["-0", "-0.0", "0", "0.0", "00", "01", "1.", ".5", "0.1", "1", "1.0", "150", "151", "-1"]),
)  # fmt: skip
NAMES = st.sampled_from(
    ["id", "at", "amount", "price", "count", "flag", "kind", "note", "age", "share", "seen", "other"]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(NAMES, SPELT, st.sampled_from(["", " ", "  "])), max_size=4), st.permutations(range(7)))
@example([("amount", "1000000", ""), ("seen", '"1969-12-31T23:59:59Z"', "")], list(range(7)))
@example([("at", '"2026-02-29T00:00:00Z"', "")], list(range(7)))
@example([("at", '"2024-02-29T00:00:00.000001Z"', " ")], list(range(7)))
def test_a_value_of_any_spelling(changed: list[tuple[str, str, str]], order: list[int]) -> None:
    """Keys in any order, once or twice or not declared, with spaces; values of any form and size."""
    spelt = {name: json.dumps(value) for name, value in pairs().items()}
    names = [list(spelt)[number] for number in order]
    lines = [(name, spelt[name], "") for name in names if name not in {name for name, _, _ in changed[:2]}] + changed
    text = ",".join(f'{space}"{name}"{space}:{value}{space}' for name, value, space in lines)
    agrees(EVERY, SORT, [record(f"{{{text}}}".encode("utf-8", "surrogatepass"))])


def test_a_byte_changed_anywhere() -> None:
    """Twenty thousand transactions with a byte replaced, removed, inserted or swapped, side by side."""
    random, sort = np.random.default_rng(3), sort_of(TRANSACTION)
    alphabet = b'{}[]",:\\ \n\t0123456789.-+eEZTtruefalsn\x00\x7f\xc3\xa9"'
    records = []
    for offset, (_, value) in enumerate(transactions(20_000)):
        line, at = bytearray(value or b""), int(random.integers(len(value or b"")))
        sign = alphabet[random.integers(len(alphabet))]
        how = offset % 4
        if how == 0:
            line[at] = sign
        elif how == 1:
            del line[at]
        elif how == 2:
            line.insert(at, sign)
        else:
            line[at : at + 2] = line[at : at + 2][::-1]
        records.append(record(bytes(line), offset))
    found = [agrees(TRANSACTION, sort, records[start : start + 1000]) for start in range(0, len(records), 1000)]
    plain = sum(len(part.records) for part in found)
    assert 1_000 < plain < 15_000


@pytest.mark.parametrize(
    ("event_type", "simulate"),
    [(TRANSACTION, simulator.transactions), (APPLICATION, simulator.applications)],
    ids=["transaction", "application"],
)
def test_events_as_they_usually_are_written_are_plain(event_type: EventType, simulate: Any) -> None:
    """All of them, compact or with the spaces of Python's json: this is what the pace comes from."""
    lines = simulator.json_lines(event_type, simulate(2000, START, 1.0, 4))
    loose = [json.dumps(json.loads(line)).encode() for line in lines]
    for written in (lines, loose):
        found = agrees(event_type, sort_of(event_type), [record(line, row) for row, line in enumerate(written)])
        assert not found.others


def test_numbers_are_the_nearest_of_their_digits() -> None:
    """To the last bit: of up to 15 digits, which are plain, and of more, which are not."""
    random = np.random.default_rng(5)
    digits = random.integers(1, 18, 20_000)
    numbers = [str(int(random.integers(10 ** (int(count) - 1), 10 ** int(count)))) for count in digits]
    points = [int(random.integers(1, len(number) + 1)) for number in numbers]
    spelt = [f"{n[:point]}.{n[point:]}".removesuffix(".") for n, point in zip(numbers, points, strict=True)]
    line = json.dumps(pairs(price="?")).replace('"?"', "%s")
    found = agrees(EVERY, SORT, [record((line % text).encode(), row) for row, text in enumerate(spelt)])
    assert [one.offset for one in found.records] == [row for row, count in enumerate(digits) if count <= 15]


def test_times_are_exact_on_every_day() -> None:
    """Of twenty thousand times over five centuries, leap years and their absence included, to the microsecond."""
    random = np.random.default_rng(6)
    times = [datetime.fromtimestamp(int(second), UTC) for second in random.integers(0, 15_778_800_000, 20_000)]
    times += [datetime(year, 2 + row, 1 if row else 28, tzinfo=UTC) for year in range(1970, 2470) for row in range(2)]
    at = [time.replace(microsecond=int(random.integers(0, 1_000_000))) for time in times]
    lines = [json.dumps(pairs(seen=time.isoformat().replace("+00:00", "Z"))) for time in at]
    found = agrees(EVERY, SORT, [record(line.encode(), row) for row, line in enumerate(lines)])
    assert not found.others


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{}",
        b"}{",
        json.dumps(pairs(id="é")).encode(),
        json.dumps(pairs(id="a\\b")).encode(),
        json.dumps(pairs(id="123456789")).encode(),
        json.dumps(pairs(amount=1e6 + 1)).encode(),
        json.dumps(pairs(kind="b")).encode(),
        json.dumps(pairs(at="2026-02-01T00:05:01Z")).encode(),
        json.dumps(pairs(age=None)).encode(),
        json.dumps(pairs(other=1)).encode(),
        json.dumps(pairs(note="x" * 2000)).encode(),
        json.dumps(pairs())[:-1].encode() + b',"id":"y"}',
        json.dumps(pairs()).encode() + b" ",
        json.dumps(pairs()).encode() * 2,
        json.dumps(pairs(), indent=1).encode(),
    ],
    ids=lambda value: str(value)[:40],
)
def test_whatever_needs_a_second_thought_is_left(value: bytes | None) -> None:
    """Its neighbours are read all the same, each by itself."""
    whole = json.dumps(pairs()).encode()
    found = agrees(EVERY, SORT, [record(whole, 0), record(value, 1), record(whole, 2)])
    assert [one.offset for one in found.others] == [1]


def test_fragments_of_neighbours_are_never_joined() -> None:
    """Two halves that would be an event together are none."""
    whole = json.dumps(pairs()).encode()
    halves = [record(part, row) for row, part in enumerate((whole[:30], whole[30:]))]
    assert len(agrees(EVERY, SORT, halves).others) == 2


def test_what_stands_beside_the_value_counts() -> None:
    """A key that makes the record too long, and headers that cannot be read."""
    whole = json.dumps(pairs()).encode()
    found = agrees(
        EVERY, SORT, [record(whole, 0, key=b"k" * 2000), record(whole, 1, unreadable=True), record(whole, 2)]
    )
    assert [one.offset for one in found.records] == [2]


def test_types_that_ask_for_more_are_left_to_their_own_decoder() -> None:
    """Patterns, multiples, bounds that no float is, numbers to choose from, unions, tags, checks of one's own."""
    for hint in (
        Annotated[str, Meta(pattern="^a")],
        Annotated[float, Meta(multiple_of=2)],
        Annotated[int, Meta(le=(1 << 53) + 1)],
        Literal[1, 2],
        str | int,
        Annotated[datetime, Meta(tz=False)],
        list[int],
    ):
        assert plan(msgspec.defstruct("Other", [("event_id", str), ("other", hint)])) is None, hint
    assert plan(msgspec.defstruct("Tagged", [("event_id", str)], tag="x")) is None
    assert plan(msgspec.defstruct("Listed", [("event_id", str)], array_like=True)) is None
    checked = msgspec.defstruct("Checked", [("event_id", str)], namespace={"__post_init__": lambda self: None})
    assert plan(checked) is None
    patterned = msgspec.defstruct(
        "Patterned",
        [("event_id", Annotated[str, Meta(pattern="x")]), ("occurred_at", Annotated[datetime, Meta(tz=True)])],
    )
    other = replace(EVERY, struct=patterned)
    assert len(sort_of(other)([record(b"{}")], NOW).others) == 1


def test_labels_are_read_plainly_too() -> None:
    """With the flag that is their answer, and the time at which it was known."""
    labels = label_type(TRANSACTION)
    schema = pa.schema(list(schemas(TRANSACTION).labels)[4:])
    sort = sorter(labels, schema, SMALL, ["occurred_at", "labelled_at"])
    told = {"event_id": "e", "occurred_at": "2026-01-01T00:00:00Z", "customer_id": "c", "terminal_id": "t"}
    times = ["2026-01-30T00:00:00Z", "2026-03-01T00:00:00Z"]
    lines = [json.dumps(told | {"label": row == 0, "labelled_at": at}).encode() for row, at in enumerate(times)]
    found = sort([record(line, row) for row, line in enumerate(lines)], NOW)
    assert [one.offset for one in found.records] == [0]
    row = dict(zip(schema.names, (column[0].as_py() for column in found.columns), strict=True))
    assert (row["event_id"], row["label"], row["labelled_at"]) == ("e", True, datetime(2026, 1, 30, tzinfo=UTC))
