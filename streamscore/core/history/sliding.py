"""The largest value and the number of different codes in each of many windows: what windows share is looked at once.

A window is slots [low, high) of a summed column. Taken `in_passes`, the windows of an entity move forward
only, so that each slot is taken in once and left behind once, however many of a batch's rows look at it.
In any other order the numbers are the same; a window that moves back begins a new pass.
"""

import numpy as np

from streamscore.core.history.compiled import compiled

# The column of what no event lacks.
NONE = -1
# Values held, and different codes counted, before there is more room.
FIRST = 64
# Below every value.
LEAST = -(1 << 62)
# A table of codes: each one, how often it is in the window, and the pass in which that was said.
Table = tuple[np.ndarray, np.ndarray, np.ndarray]
CODE, COUNT, PASS = 0, 1, 2


def in_passes(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """int64 (rows,): row numbers, entity by entity, each one's windows moving forward; of windows of one span.

    With the same delay and width for all, neither end of a later row's window is before that of an earlier
    one's, and entities share no slots: so the sum of both ends is an order of both.
    """
    return np.argsort(low + high)


@compiled
def largest(
    sums: np.ndarray, columns: tuple[int, int], sign: int, windows: tuple[np.ndarray, np.ndarray], order: np.ndarray
) -> np.ndarray:
    """float64 (rows,): each window's largest value times `sign`, times `sign` again; NaN without any.

    `columns` are those of the values in the running sums, and of how many have one, NONE where all have.
    Held are the window's peaks: the slots whose value is above all later ones, oldest first.
    """
    found = np.full(len(order), np.nan)
    slots, values = np.empty(FIRST, np.int64), np.empty(FIRST, np.int64)
    begin = end = first = held = 0
    for row in order:
        low, high = windows[0][row], windows[1][row]
        if low < begin or high < end or low >= end:
            end, first, held = low, 0, 0
        more, top = _peaks(sums, columns, sign, (end, high), slots[held:], values[held:])
        if held + more > len(slots):
            slots, values = _with_room(slots[first:held], more), _with_room(values[first:held], more)
            first, held = 0, held - first
            more, top = _peaks(sums, columns, sign, (end, high), slots[held:], values[held:])
        while more and held > first and values[held - 1] <= top:
            held -= 1
        for peak in range(len(slots) - more, len(slots)):
            slots[held], values[held] = slots[peak], values[peak]
            held += 1
        begin, end = low, high
        while first < held and slots[first] < low:
            first += 1
        if first < held:
            found[row] = sign * values[first]
    return found


@compiled
def _peaks(
    sums: np.ndarray,
    columns: tuple[int, int],
    sign: int,
    run: tuple[int, int],
    slots: np.ndarray,
    values: np.ndarray,
) -> tuple[int, int]:
    """How many peaks slots have and the highest; the last of them are written to the ends of `slots` and `values`.

    From the back, few slots are above all that were seen, so that the processor guesses right.
    """
    value, given = columns
    count, top = 0, LEAST
    for slot in range(run[1] - 1, run[0] - 1, -1):
        here = sign * (sums[slot + 1, value] - sums[slot, value])
        if here > top and (given == NONE or sums[slot + 1, given] != sums[slot, given]):
            top, count = here, count + 1
            if count <= len(slots):
                slots[len(slots) - count], values[len(slots) - count] = slot, here
    return count, top


@compiled
def _with_room(held: np.ndarray, more: int) -> np.ndarray:
    """What is held, with room for more, and as much again."""
    wider = np.empty(2 * (len(held) + more) + FIRST, np.int64)
    wider[: len(held)] = held
    return wider


@compiled
def different(
    sums: np.ndarray, column: int, windows: tuple[np.ndarray, np.ndarray], own: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """float64 (rows,): how many different codes are in each window and the row's own; 0 is no code.

    `column` is that of the codes, which are hashes, in the running sums. A table counts those of the window.
    """
    found = np.empty(len(order), np.float64)
    table = _table(FIRST)
    begin = end = count = used = number = 0
    for row in order:
        low, high = windows[0][row], windows[1][row]
        if low < begin or high < end or low >= end:
            begin, end, count, used, number = low, low, 0, 0, number + 1
            # What many codes of another entity needed would be far from the processor for a few.
            table = table if len(table[0]) == FIRST else _table(FIRST)
        while end < high:
            end, new, fresh = _taken_in(sums, column, (end, high), table, number, used)
            count, used = count + new, used + fresh
            if end < high:
                table, used = _rebuilt(table, number, count), count
        count -= _left_behind(sums, column, (begin, low), table, number)
        begin = low
        at = _place(table, number, own[row])
        found[row] = count + (own[row] != 0 and (table[PASS][at] != number or table[COUNT][at] == 0))
    return found


@compiled
def _table(size: int) -> Table:
    """An empty table of codes."""
    return np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)


@compiled
def _place(table: Table, number: int, code: int) -> int:
    """The slot of a code in the table, or the slot where it would go; entries of earlier passes count as empty."""
    mask = len(table[CODE]) - 1
    at = code & mask
    while table[PASS][at] == number and table[CODE][at] != code:
        at = (at + 1) & mask
    return at


@compiled
def _taken_in(
    sums: np.ndarray, column: int, run: tuple[int, int], table: Table, number: int, used: int
) -> tuple[int, int, int]:
    """Count the codes of slots until half of the table is used: the slot after, codes that are new, entries made."""
    codes, counts, passes = table
    count, fresh, most = 0, 0, len(codes) // 2 - used
    for slot in range(run[0], run[1]):
        if fresh >= most:
            return slot, count, fresh
        code = sums[slot + 1, column] - sums[slot, column]
        if code == 0:
            continue
        at = _place(table, number, code)
        if passes[at] != number:
            codes[at], counts[at], passes[at] = code, 0, number
            fresh += 1
        count += counts[at] == 0
        counts[at] += 1
    return run[1], count, fresh


@compiled
def _left_behind(sums: np.ndarray, column: int, run: tuple[int, int], table: Table, number: int) -> int:
    """Count the codes of slots once less; how many are then in the window no more."""
    count = 0
    for slot in range(run[0], run[1]):
        code = sums[slot + 1, column] - sums[slot, column]
        if code != 0:
            at = _place(table, number, code)
            table[COUNT][at] -= 1
            count += table[COUNT][at] == 0
    return count


@compiled
def _rebuilt(table: Table, number: int, count: int) -> Table:
    """A table of the codes that are in the window, at most a quarter full."""
    size = FIRST
    while size < 4 * count:
        size *= 2
    wider = _table(size)
    for entry in range(len(table[CODE])):
        if table[PASS][entry] == number and table[COUNT][entry] > 0:
            at = _place(wider, number, table[CODE][entry])
            wider[CODE][at], wider[COUNT][at], wider[PASS][at] = table[CODE][entry], table[COUNT][entry], number
    return wider
