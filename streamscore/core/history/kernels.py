"""The kernels of a timeline: they look up rows in an arena, insert rows and drop them.

Shapes: `arena.at` int64 (slots,) µs; `arena.ids` uint64 (slots, words); `arena.sums` int64 (slots, columns). An entity
owns one slice of the arena: slots [start, start + size) hold its rows, sorted by time and id, and slot start + size
is one more.

Invariant: `sums[k]` is the running sum *before* row k, and the last slot of a slice has the total. So the sum of any
window is one difference, and a row's own value is the difference of two neighbours. Sums wrap in 64 bits; the
difference is exact all the same, wherever the running sum began.
"""

import numpy as np

from streamscore.core.history.arena import NEW, REFUSED, ROOMS, SEEN, Arena, Rows, Slices
from streamscore.core.history.compiled import compiled


@compiled
def compared(arena: Arena, slot: int, rows: Rows, row: int) -> int:
    """-1, 0 or 1: the slot comes before, equals, or comes after a row in the order of time and id."""
    if arena.at[slot] != rows.at[row]:
        return -1 if arena.at[slot] < rows.at[row] else 1
    for word in range(rows.ids.shape[1]):
        if arena.ids[slot, word] != rows.ids[row, word]:
            return -1 if arena.ids[slot, word] < rows.ids[row, word] else 1
    return 0


@compiled
def place(arena: Arena, low: int, high: int, rows: Rows, row: int) -> int:
    """The first slot in [low, high) that does not come before a row; `high` if there is none.

    Events mostly arrive in order, so the end is tried first; else a binary search.
    """
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
    """The first slot in [low, high) that is later than a time; `high` if there is none."""
    while low < high:
        middle = (low + high) >> 1
        if at[middle] <= time:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def touch(arena: Arena, slices: Slices, entities: np.ndarray) -> int:
    """Read the end and the middle of each entity's slice, which brings them into the processor's cache.

    The loads do not depend on each other, so the memory serves many of them at once. The sum only keeps the compiler
    from leaving the loads out.
    """
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
    """Write each row's slot, or the slot where it would go, to `found[0]`; to `found[1]` whether it is there."""
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
    """Write the slots [low, high) of each row's windows to `found[0, span, row]` and `found[1, span, row]`.

    `spans` int64 (spans, 2) gives delay and width in µs. Without a delay, a window ends right before the row itself,
    whether or not the row is in the timeline. An unknown entity leaves its entries as they are.
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


@compiled
def release(arena: Arena, slices: Slices, entity: int) -> None:
    """Give an entity's slice back: it heads the list of free slices of its room, linked through `at`."""
    room, start = slices.room[entity], slices.start[entity]
    if room:
        arena.at[start] = slices.free[room]
        slices.free[room] = start
    slices.room[entity] = 0


@compiled
def shift(arena: Arena, target: int, source: int, slots: int) -> None:
    """Copy slots forward, from the lowest: the target must not begin inside the source."""
    for k in range(slots):
        arena.at[target + k] = arena.at[source + k]
        for word in range(arena.ids.shape[1]):
            arena.ids[target + k, word] = arena.ids[source + k, word]
        for column in range(arena.sums.shape[1]):
            arena.sums[target + k, column] = arena.sums[source + k, column]


@compiled
def moved(arena: Arena, slices: Slices, entity: int, slots: int) -> bool:
    """Move an entity to the smallest room with that many slots; False when the arena has no such slice left."""
    room = np.searchsorted(ROOMS, slots)
    start = slices.free[room]
    if start >= 0:
        slices.free[room] = arena.at[start]
    elif slices.free[0] + ROOMS[room] <= len(arena.at):
        start = slices.free[0]
        slices.free[0] += ROOMS[room]
    else:
        return False
    if slices.room[entity]:
        shift(arena, start, slices.start[entity], slices.size[entity] + 1)
        release(arena, slices, entity)
    else:
        arena.sums[start] = 0
    slices.start[entity] = start
    slices.room[entity] = room
    return True


@compiled
def compact(arena: Arena, slices: Slices, order: np.ndarray) -> None:
    """Move all slices to the front of the arena, in the order of their starts, each into its smallest room.

    Afterwards no slice is free, and `free[0]` is the first slot behind all of them.
    """
    target = 0
    for entity in order:
        slots = slices.size[entity] + 1
        shift(arena, target, slices.start[entity], slots)
        slices.start[entity] = target
        slices.room[entity] = np.searchsorted(ROOMS, slots)
        target += ROOMS[slices.room[entity]]
    slices.free[1:] = -1
    slices.free[0] = target


@compiled
def append(arena: Arena, slices: Slices, entities: np.ndarray, sizes: np.ndarray, rows: Rows) -> int:
    """Give new entities a slice each behind all others, with rows that are sorted already; -1 is skipped.

    Returns how many rows were taken.
    """
    row, taken = 0, 0
    for k in range(len(entities)):
        entity, size = entities[k], sizes[k]
        if entity >= 0:
            start = slices.free[0]
            slices.start[entity], slices.size[entity] = start, size
            slices.room[entity] = np.searchsorted(ROOMS, size + 1)
            slices.free[0] += ROOMS[slices.room[entity]]
            arena.sums[start] = 0
            for j in range(size):
                arena.at[start + j] = rows.at[row + j]
                for word in range(arena.ids.shape[1]):
                    arena.ids[start + j, word] = rows.ids[row + j, word]
                for column in range(arena.sums.shape[1]):
                    arena.sums[start + j + 1, column] = arena.sums[start + j, column] + rows.added[row + j, column]
            taken += size
        row += size
    return taken


@compiled
def insert(
    arena: Arena, slices: Slices, rows: Rows, order: np.ndarray, status: np.ndarray, part: tuple[int, int]
) -> int:
    """Insert rows `order[part[0]:part[1]]`, sorted by entity, time and id; one pass for each entity.

    Writes NEW, SEEN or REFUSED to `status`. Returns the position where it stopped: the end of the last entity, or the
    first entity for which the arena is too small.
    """
    begin = part[0]
    while begin < part[1]:
        entity = rows.entity[order[begin]]
        end = begin + 1
        while end < len(order) and rows.entity[order[end]] == entity:
            end += 1
        fresh = _look_up(arena, slices, rows, order, (begin, end), status)
        slots = slices.size[entity] + fresh + 1
        if slots > ROOMS[-1]:
            for j in range(begin, end):
                status[order[j]] = REFUSED
        elif fresh:
            if slots > ROOMS[slices.room[entity]] and not moved(arena, slices, entity, slots):
                return begin
            _interleave(arena, slices, rows, order, (begin, end), status)
            slices.size[entity] += fresh
        begin = end
    return begin


@compiled
def _look_up(
    arena: Arena, slices: Slices, rows: Rows, order: np.ndarray, run: tuple[int, int], status: np.ndarray
) -> int:
    """Mark the rows of one entity as NEW, or as SEEN in the slice or earlier in the run; how many are NEW."""
    entity = rows.entity[order[run[0]]]
    low, high = slices.start[entity], slices.start[entity] + slices.size[entity]
    fresh = 0
    for j in range(run[0], run[1]):
        row = order[j]
        low = place(arena, low, high, rows, row)
        seen = low < high and compared(arena, low, rows, row) == 0
        if not seen and j > run[0]:
            seen = same(rows, order[j - 1], row)
        status[row] = SEEN if seen else NEW
        fresh += not seen
    return fresh


@compiled
def same(rows: Rows, one: int, other: int) -> bool:
    """Whether two rows have the same time and id."""
    equal = rows.at[one] == rows.at[other]
    for word in range(rows.ids.shape[1]):
        equal = equal and rows.ids[one, word] == rows.ids[other, word]
    return equal


@compiled
def _interleave(
    arena: Arena, slices: Slices, rows: Rows, order: np.ndarray, run: tuple[int, int], status: np.ndarray
) -> None:
    """Merge the NEW rows of one entity into its slice, from the back, so that every slot moves at most once.

    Invariant: slots above `target` are final, and their running sums are right.
    """
    entity = rows.entity[order[run[0]]]
    start, source = slices.start[entity], slices.start[entity] + slices.size[entity]
    fresh = _total(arena, source, rows, order[run[0] : run[1]], status)
    j = run[1] - 1
    while fresh:
        row, target = order[j], source + fresh - 1
        if status[row] != NEW:
            j -= 1
        elif source > start and compared(arena, source - 1, rows, row) > 0:
            source -= 1
            for column in range(arena.sums.shape[1]):
                own = arena.sums[source + 1, column] - arena.sums[source, column]
                arena.sums[target, column] = arena.sums[target + 1, column] - own
            arena.at[target] = arena.at[source]
            for word in range(arena.ids.shape[1]):
                arena.ids[target, word] = arena.ids[source, word]
        else:
            _put(arena, target, rows, row)
            fresh -= 1
            j -= 1


@compiled
def _total(arena: Arena, end: int, rows: Rows, run: np.ndarray, status: np.ndarray) -> int:
    """Write the total of a slice to the slot where it will end; how many rows are NEW."""
    fresh = 0
    for row in run:
        fresh += status[row] == NEW
    for column in range(arena.sums.shape[1]):
        total = arena.sums[end, column]
        for row in run:
            if status[row] == NEW:
                total += rows.added[row, column]
        arena.sums[end + fresh, column] = total
    return fresh


@compiled
def _put(arena: Arena, slot: int, rows: Rows, row: int) -> None:
    """Write a row to the slot before one whose running sums are right already."""
    arena.at[slot] = rows.at[row]
    for word in range(arena.ids.shape[1]):
        arena.ids[slot, word] = rows.ids[row, word]
    for column in range(arena.sums.shape[1]):
        arena.sums[slot, column] = arena.sums[slot + 1, column] - rows.added[row, column]


@compiled
def sweep(arena: Arena, slices: Slices, bound: int, entities: np.ndarray) -> tuple[int, np.ndarray]:
    """Drop the rows of some entities up to a time, and give back slices that are then less than half full.

    Returns how many rows went, and what they had added to each sum.
    """
    dropped, added = 0, np.zeros(arena.sums.shape[1], np.int64)
    for entity in entities:
        start, size = slices.start[entity], slices.size[entity]
        keep = after(arena.at, start, start + size, bound)
        left = start + size - keep
        dropped += size - left
        for column in range(len(added)):
            added[column] += arena.sums[keep, column] - arena.sums[start, column]
        shift(arena, start, keep, left + 1)
        slices.size[entity] = left
        if not left:
            release(arena, slices, entity)
        elif 2 * (left + 1) < ROOMS[slices.room[entity]]:
            moved(arena, slices, entity, left + 1)
    return dropped, added
