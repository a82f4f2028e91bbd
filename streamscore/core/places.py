"""Where rows stand in a timeline: the kernels that only look.

A slice of n rows takes n + 1 slots: `sums` are running sums *before* each row, and the last slot has
the total. So any window's sum is one difference, exact in wrapping 64-bit integers wherever the
slice once began, and a row's own value is the difference of two neighbours.
"""

import numpy as np

from streamscore.core.arena import Arena, Rows, Slices
from streamscore.core.compiled import compiled


@compiled
def compared(arena: Arena, slot: int, rows: Rows, row: int) -> int:
    """-1, 0 or 1 as the slot stands before, at or after a row in the order of time and id."""
    if arena.at[slot] != rows.at[row]:
        return -1 if arena.at[slot] < rows.at[row] else 1
    for word in range(rows.ids.shape[1]):
        if arena.ids[slot, word] != rows.ids[row, word]:
            return -1 if arena.ids[slot, word] < rows.ids[row, word] else 1
    return 0


@compiled
def place(arena: Arena, low: int, high: int, rows: Rows, row: int) -> int:
    """The first slot from `low` on that does not stand before a row; `high` if none. Most often that is the end."""
    if low == high or compared(arena, high - 1, rows, row) < 0:
        return high
    high -= 1
    while low < high:
        middle = (low + high) >> 1
        if compared(arena, middle, rows, row) < 0:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def after(at: np.ndarray, low: int, high: int, time: int) -> int:
    """The first slot from `low` on that is later than a time; `high` if none."""
    while low < high:
        middle = (low + high) >> 1
        if at[middle] <= time:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def touch(arena: Arena, slices: Slices, entities: np.ndarray) -> int:
    """Read where each entity's slice ends. Loads that need not wait for each other bring all of it near at once."""
    total = 0
    for entity in entities:
        if entity >= 0 and slices.size[entity]:
            end = slices.start[entity] + slices.size[entity]
            total += arena.at[end - 1] + arena.at[end - 1 - slices.size[entity] // 2] + arena.ids[end - 1, 0]
            if arena.sums.shape[1]:
                total += arena.sums[end, 0]
    return total


@compiled
def find(arena: Arena, slices: Slices, rows: Rows, found: np.ndarray) -> None:
    """The slots at which rows stand, or would stand, and in `found[1]` whether they do."""
    for row in range(len(rows.at)):
        entity = rows.entity[row]
        if entity < 0:
            continue
        start, end = slices.start[entity], slices.start[entity] + slices.size[entity]
        slot = place(arena, start, end, rows, row)
        found[0, row] = slot
        found[1, row] = slot < end and compared(arena, slot, rows, row) == 0


@compiled
def windows(arena: Arena, slices: Slices, rows: Rows, part: np.ndarray, spans: np.ndarray, found: np.ndarray) -> None:
    """The slots [low, high) of windows of a part of rows, as `found[0 or 1, span, row]`; none for an unknown entity.

    `spans` (spans, 2) gives delay and width in µs. Without a delay, a window ends before the row's
    own place, whether or not it is there.
    """
    for row in part:
        entity = rows.entity[row]
        if entity < 0 or not slices.size[entity]:
            continue
        start = slices.start[entity]
        end = place(arena, start, start + slices.size[entity], rows, row)
        for span in range(len(spans)):
            until = rows.at[row] - spans[span, 0]
            high = after(arena.at, start, end, until) if spans[span, 0] else end
            found[0, span, row] = after(arena.at, start, high, until - spans[span, 1])
            found[1, span, row] = high
