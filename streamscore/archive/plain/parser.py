"""Events that are written plainly, read many at a time: the pace of an archive is the pace of its decoding.

A plain event is one that needs no second thought: ASCII without escapes or control characters, only declared
keys, each once, all that are required, no null, numbers that a division gives exactly, times in UTC. Such an
event is valid, and says, exactly what `core.catalogue.decode` finds; of any other nothing is said, and it is
left to `decode`. Each is read by itself, between its own first and last byte.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from streamscore.archive.plain.fields import DIGITS, FLAG, NUMBER, TEXT, TIME, WHOLE_DIGITS, Plan
from streamscore.core.history.compiled import compiled

POWERS = 10.0 ** np.arange(DIGITS + 1)
QUOTE, BACKSLASH, SPACE, COMMA, MINUS, DOT, ZERO, NINE, COLON, OPEN, CLOSE = (ord(sign) for sign in '"\\ ,-.09:{}')
LAST_ASCII = 126
Z = ord("Z")
TRUE, FALSE, SHAPE = (np.frombuffer(text, np.uint8) for text in (b"true", b"false", b"0000-00-00T00:00:00"))
DAYS_BEFORE = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])
DAYS_IN = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


class Plain(NamedTuple):
    """(fields, rows) of what was read: numbers; integers, flags, µs since 1970 or where texts start; their lengths.

    `there` says which fields a row has, and `rows` which rows are plain.
    """

    number: np.ndarray
    whole: np.ndarray
    length: np.ndarray
    there: np.ndarray
    rows: np.ndarray


def read(plan: Plan, values: Sequence[bytes]) -> tuple[np.ndarray, Plain]:
    """The values one after the other, and what is plain of them."""
    joined = b"".join(values)
    data = np.frombuffer(joined, np.uint8)
    ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))
    shape = (len(plan.kinds), len(values))
    found = Plain(
        np.zeros(shape),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int32),
        np.zeros(shape, np.bool_),
        np.ones(len(values), np.bool_),
    )
    # Most batches have none of these signs, which is seen twenty times as fast as where they are.
    if b"\\" in joined or data.min(initial=SPACE) < SPACE or data.max(initial=SPACE) > LAST_ASCII:
        odd = np.flatnonzero((data < SPACE) | (data > LAST_ASCII) | (data == BACKSLASH))
        found.rows[np.searchsorted(ends, odd, side="right")] = False
    _read_rows(data, ends, np.flatnonzero(data == QUOTE), plan, found)
    _check(plan, found)
    return data, found


def _check(plan: Plan, found: Plain) -> None:
    """A row with a value out of bounds, or without one that is required, is not plain."""
    for field, kind in enumerate(plan.kinds):
        there = found.there[field]
        value = {TEXT: found.length, NUMBER: found.number}.get(kind, found.whole)[field]
        held = (value >= plan.least[field]) & (value <= plan.most[field])
        found.rows[:] &= (there & held) | (~there & (not plan.required[field]))


@compiled
def _read_rows(data: np.ndarray, ends: np.ndarray, quotes: np.ndarray, plan: Plan, found: Plain) -> None:
    start, quote = 0, 0
    for row in range(len(ends)):
        until = quote
        while until < len(quotes) and quotes[until] < ends[row]:
            until += 1
        whole = ends[row] - start > 1 and data[start] == OPEN and data[ends[row] - 1] == CLOSE
        if found.rows[row]:
            found.rows[row] = whole and _read_row(data, start + 1, quotes[quote:until], plan, found, row) == ends[row]
        start, quote = ends[row], until


@compiled
def _read_row(data: np.ndarray, at: int, quotes: np.ndarray, plan: Plan, found: Plain, row: int) -> int:
    """Read the pairs from `at` on, between a row's quotation marks; where its last bracket ends, or -1."""
    expected, quote = 0, 0
    while quote + 1 < len(quotes):
        at = _skip(data, at)
        after = quotes[quote + 1] + 1
        field = _key(data, at, after, plan.keys, plan.key_ends, expected) if quotes[quote] == at else -1
        if field < 0 or found.there[field, row]:
            return -1
        found.there[field, row] = True
        at, quote = _colon(data, after), quote + 2
        if at < 0:
            return -1
        kind = plan.kinds[field]
        if kind in (TEXT, TIME):
            if quote + 1 >= len(quotes) or quotes[quote] != at:
                return -1
            after, quote = quotes[quote + 1] + 1, quote + 2
            found.length[field, row] = after - at - 2
            value = at + 1 if kind == TEXT else _time(data, at + 1, after - 1)
        else:
            after, value, places = _bare(data, at, kind)
            found.number[field, row] = value / POWERS[places]
        found.whole[field, row] = value
        if after < 0 or (kind == TIME and value < 0):
            return -1
        at = _skip(data, after)
        if data[at] != COMMA:
            return at + 1 if data[at] == CLOSE and quote == len(quotes) else -1
        at, expected = at + 1, field + 1
    return -1


@compiled
def _skip(data: np.ndarray, at: int) -> int:
    """The next sign that is no space: a row's last sign is none."""
    while data[at] == SPACE:
        at += 1
    return at


@compiled
def _colon(data: np.ndarray, at: int) -> int:
    """Where a value begins after the colon that stands here, or -1."""
    at = _skip(data, at)
    return _skip(data, at + 1) if data[at] == COLON else -1


@compiled
def _key(data: np.ndarray, at: int, after: int, keys: np.ndarray, ends: np.ndarray, expected: int) -> int:
    """The field whose key stands here, most likely the expected one; -1 when none does."""
    for step in range(len(ends)):
        field = expected + step if expected + step < len(ends) else expected + step - len(ends)
        start = ends[field - 1] if field else 0
        same = ends[field] - start == after - at
        place = at
        while same and place < after:
            same = data[place] == keys[start + place - at]
            place += 1
        if same:
            return field
    return -1


@compiled
def _bare(data: np.ndarray, at: int, kind: int) -> tuple[int, int, int]:
    """Where true, false or a decimal number ends, or -1; its digits as an integer, and how many are decimals."""
    if kind == FLAG:
        yes = data[at] == 116
        word = TRUE if yes else FALSE
        for k in range(len(word)):
            if data[at + k] != word[k]:
                return -1, 0, 0
        return at + len(word), int(yes), 0
    negative = data[at] == MINUS
    at += negative
    most = DIGITS if kind == NUMBER else WHOLE_DIGITS
    after, value = _digits(data, at, 0, most)
    count, places = after - at, 0
    if count == 0 or (count > 1 and data[at] == ZERO):
        return -1, 0, 0
    if kind == NUMBER and data[after] == DOT:
        point = after + 1
        after, value = _digits(data, point, value, most - count)
        places = after - point
        count += places if places else most + 1
    if count > most or (negative and value == 0):
        return -1, 0, 0
    return after, -value if negative else value, places


@compiled
def _digits(data: np.ndarray, at: int, value: int, most: int) -> tuple[int, int]:
    """Where digits end, at most one more than `most`, and the integer that they continue."""
    last = at + most
    while ZERO <= data[at] <= NINE and at <= last:
        value = value * 10 + data[at] - ZERO
        at += 1
    return at, value


@compiled
def _time(data: np.ndarray, at: int, end: int) -> int:
    """µs since 1970 of a time of the form 2026-01-31T00:00:00.123456Z from 1970 on, or -1."""
    if end - at < 20 or not _has_shape(data, at):
        return -1
    year = _pair(data, at) * 100 + _pair(data, at + 2)
    month, day = _pair(data, at + 5), _pair(data, at + 8)
    hour, minute, second = _pair(data, at + 11), _pair(data, at + 14), _pair(data, at + 17)
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= DAYS_IN[month - 1] + (leap and month == 2):
        return -1
    micros = _micros(data, at + 19, end)
    if hour > 23 or minute > 59 or second > 59 or micros < 0:
        return -1
    past = year - 1
    days = 365 * (year - 1970) + past // 4 - past // 100 + past // 400 - 477
    days += DAYS_BEFORE[month - 1] + (leap and month > 2) + day - 1
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micros


@compiled
def _has_shape(data: np.ndarray, at: int) -> bool:
    """Whether digits and signs stand where they do in a time, up to its seconds."""
    for place in range(len(SHAPE)):
        sign = data[at + place]
        if sign != SHAPE[place] and not (SHAPE[place] == ZERO and ZERO <= sign <= NINE):
            return False
    return True


@compiled
def _micros(data: np.ndarray, at: int, end: int) -> int:
    """The µs of the rest of a time, Z with up to six decimals before it, or -1."""
    if data[end - 1] != Z:
        return -1
    if at == end - 1:
        return 0
    after, value = _digits(data, at + 1, 0, 6)
    places = after - at - 1
    if data[at] != DOT or after != end - 1 or not 1 <= places <= 6:
        return -1
    for _ in range(6 - places):
        value *= 10
    return value


@compiled
def _pair(data: np.ndarray, at: int) -> int:
    return (data[at] - ZERO) * 10 + data[at + 1] - ZERO
