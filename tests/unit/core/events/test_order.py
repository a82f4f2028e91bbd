"""Event-time order by example: what is released, what waits, and for whom."""

from datetime import UTC, datetime

import msgspec

from streamscore.core.events.decode import DeadLetter, Entry
from streamscore.core.events.order import EventTimeOrder
from streamscore.core.events.record import Partition
from tests.support.samples import record

A, B, C = ("events", 0), ("events", 1), ("other", 0)
BAD = DeadLetter("bad_json", "", "not JSON")


class Tick(msgspec.Struct, frozen=True):
    event_id: str
    occurred_at: datetime


def entries(partition: Partition, *times: float | None, first: int = 0) -> list[Entry]:
    """Entries at successive offsets; None is a dead letter."""
    topic, number = partition
    made = []
    for offset, at in enumerate(times, first):
        found = record(b"", offset, number, topic)
        event = None if at is None else Tick("t", datetime.fromtimestamp(at, UTC))
        made.append(Entry(found, event, -1.0 if at is None else at, BAD if at is None else None))
    return made


def order(**pushed: list[float | None]) -> EventTimeOrder:
    """A buffer that holds the given times per partition."""
    buffer = EventTimeOrder()
    for name, times in pushed.items():
        partition = {"a": A, "b": B, "c": C}[name]
        buffer.add(partition)
        if times:
            buffer.push(entries(partition, *times))
    return buffer


def times(released: list[Entry]) -> list[float]:
    return [entry.at for entry in released]


def test_drained_partitions_are_merged_by_time() -> None:
    """With nothing more to come, everything is released, oldest first."""
    buffer = order(a=[1, 4, 6], b=[2, 3, 9])
    assert times(buffer.release(100, more=[])) == [1, 2, 3, 4, 6, 9]
    assert len(buffer) == 0


def test_waits_strictly_below_the_newest_of_each_pending_partition() -> None:
    """An entry waits while a partition with more to give could still bring one before it, or beside it."""
    buffer = order(a=[1, 3, 5], b=[2, 3])
    assert times(buffer.release(100, more=[B])) == [1, 2]
    buffer.push(entries(B, 7, first=2))
    assert times(buffer.release(100, more=[B])) == [3, 3, 5]
    assert times(buffer.release(100, more=[])) == [7]


def test_a_partition_that_gave_nothing_yet_holds_all() -> None:
    """A pending partition of which nothing was read holds every event back, and is the holder."""
    buffer = order(a=[1, 2], b=[])
    assert buffer.release(100, more=[A, B]) == []
    assert buffer.holder([A, B]) == B


def test_a_drained_partition_holds_nobody() -> None:
    """A partition without more to give delays no one, however old its last event."""
    buffer = order(a=[1], b=[5, 6])
    assert times(buffer.release(100, more=[B])) == [1, 5]
    assert times(buffer.release(100, more=[A])) == []
    assert times(buffer.release(100, more=[])) == [6]


def test_offsets_keep_their_order_inside_a_partition() -> None:
    """An entry that is late in its partition stays behind the one before it, and takes that one's place in time."""
    buffer = order(a=[5, 1, 6], b=[4, 5.5])
    released = buffer.release(100, more=[])
    assert times(released) == [4, 5, 1, 5.5, 6]
    assert [entry.record.offset for entry in released if entry.record.partition == 0] == [0, 1, 2]


def test_the_past_of_a_partition_stays() -> None:
    """A late entry takes its place after what was already released of its partition, too."""
    buffer = order(a=[5], b=[6])
    assert times(buffer.release(100, more=[])) == [5, 6]
    buffer.push(entries(A, 1, first=1))
    assert buffer.release(100, more=[B]) == entries(A, 1, first=1)


def test_limit_cuts_between_distinct_times() -> None:
    """A batch that reaches the limit inside a group of equal times takes the whole group, from every partition."""
    buffer = order(a=[1, 2, 2, 3], b=[2, 2, 4])
    assert times(buffer.release(2, more=[])) == [1, 2, 2, 2, 2]
    assert times(buffer.release(2, more=[])) == [3, 4]


def test_limit_cuts_ties_of_one_partition() -> None:
    """The group of equal times is kept whole also where a single partition is released."""
    buffer = order(a=[1, 1, 1, 2])
    assert times(buffer.release(1, more=[])) == [1, 1, 1]
    assert times(buffer.release(1, more=[])) == [2]


def test_limit_leaves_the_younger() -> None:
    """A batch takes the oldest across partitions, not the first partition's."""
    buffer = order(a=[10, 11, 12], b=[1, 2, 3])
    assert times(buffer.release(2, more=[])) == [1, 2]
    assert times(buffer.release(2, more=[])) == [3, 10]
    assert buffer.buffered() == {A: 2, B: 0}


def test_dead_letters_follow_their_partition() -> None:
    """A dead letter has no time and leaves with the entry before it."""
    buffer = order(a=[1, None, 5], b=[2, 9])
    released = buffer.release(100, more=[])
    assert [(e.record.partition, e.record.offset) for e in released] == [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1)]


def test_dead_letters_flow_while_others_wait() -> None:
    """A partition full of dead letters is not buffered without end, whoever is waited for."""
    buffer = order(a=[None, None, None], b=[])
    assert len(buffer.release(100, more=[A, B])) == 3
    buffer = order(a=[5, None, None], b=[6])
    assert [e.record.offset for e in buffer.release(100, more=[A])] == []
    assert [e.record.offset for e in buffer.release(100, more=[B])] == [0, 1, 2]


def test_dead_letters_respect_the_limit() -> None:
    """Dead letters that flow out are cut by the limit as events are."""
    buffer = order(a=[None] * 10, b=[])
    assert [len(buffer.release(4, more=[A, B])) for _ in range(4)] == [4, 4, 2, 0]


def test_holder_is_the_oldest_pending() -> None:
    """The holder is the pending partition whose newest event is the oldest."""
    buffer = order(a=[7], b=[3], c=[5])
    assert buffer.holder([A, B, C]) == B
    assert buffer.holder([A, C]) == C
    assert buffer.holder([]) is None
    assert buffer.holder([("unknown", 9)]) is None


def test_drop_forgets_one_partition() -> None:
    """A dropped partition leaves nothing behind, holds nobody, and what comes of it later is ignored."""
    buffer = order(a=[1, 2], b=[])
    buffer.drop(B)
    assert times(buffer.release(100, more=[B])) == [1, 2]
    buffer.push(entries(B, 3))
    assert len(buffer) == 0
    buffer.drop(B)


def test_added_again_it_begins_anew() -> None:
    """A partition that comes back is waited for as if it had never been there."""
    buffer = order(a=[1, 2], b=[9])
    buffer.drop(B)
    buffer.add(B)
    assert buffer.release(100, more=[B]) == []
    assert buffer.buffered() == {A: 2, B: 0}


def test_interleaved_records_are_sorted_to_their_partitions() -> None:
    """Entries of several partitions may be pushed in one go, mixed."""
    buffer = order(a=[], b=[])
    first, second = entries(A, 1, 4), entries(B, 2, 3)
    buffer.push([first[0], second[0], first[1], second[1]])
    assert buffer.buffered() == {A: 2, B: 2}
    assert times(buffer.release(100, more=[])) == [1, 2, 3, 4]


def test_of_equal_times_the_record_that_came_first() -> None:
    """Whichever partition a worker has known for longer, it takes the same of two records for the first."""
    came = {("a", 0): [300, 300], ("b", 0): [200, 400]}
    for partitions in (list(came), list(came)[::-1]):
        mixed = EventTimeOrder()
        for partition in partitions:
            mixed.add(partition)
            made = entries(partition, 5.0, 5.0)
            stamped = [
                msgspec.structs.replace(e.record, timestamp=at) for e, at in zip(made, came[partition], strict=True)
            ]
            mixed.push([msgspec.structs.replace(e, record=r) for e, r in zip(made, stamped, strict=True)])
        assert [entry.record.timestamp for entry in mixed.release(10, [])] == [200, 300, 300, 400]
