"""Event-time order under random pushes, releases and drops of partitions that are ordered in themselves."""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamscore.core.events.decode import Entry
from streamscore.core.events.order import EventTimeOrder
from streamscore.core.events.record import Partition
from tests.unit.core.events.test_order import entries

PARTITIONS: list[Partition] = [("a", 0), ("a", 1), ("b", 0)]
# Times from few values, so that many are equal; None is a dead letter.
TIMES = st.lists(st.integers(0, 8) | st.none(), max_size=12)


def ordered(times: list[int | None]) -> list[float | None]:
    """The times, sorted, with the dead letters where they were."""
    rest = iter(sorted(time for time in times if time is not None))
    return [None if time is None else float(next(rest)) for time in times]


@dataclass
class Stream:
    """One partition: what is still to be pushed of it, and what came out."""

    waiting: list[Entry]
    pushed: list[Entry] = field(default_factory=list)
    released: list[Entry] = field(default_factory=list)


class Model:
    """A buffer beside the plain account of what went in and out."""

    def __init__(self, times: list[list[int | None]]) -> None:
        self.order = EventTimeOrder()
        self.streams: dict[Partition, Stream] = {}
        for partition, values in zip(PARTITIONS, times, strict=True):
            self.order.add(partition)
            self.streams[partition] = Stream(entries(partition, *ordered(values)))

    @property
    def more(self) -> set[Partition]:
        return {partition for partition, stream in self.streams.items() if stream.waiting}

    def push(self, partition: Partition, count: int) -> None:
        stream = self.streams.get(partition)
        if stream is None:
            return
        chunk, stream.waiting = stream.waiting[:count], stream.waiting[count:]
        self.order.push(chunk)
        stream.pushed += chunk

    def drop(self, partition: Partition) -> None:
        self.order.drop(partition)
        self.streams.pop(partition, None)

    def release(self, limit: int) -> None:
        more = self.more
        batch = self.order.release(limit, more)
        for entry in batch:
            self.streams[(entry.record.topic, entry.record.partition)].released.append(entry)
        self.check_batch(batch, limit)
        if not batch and len(self.order):
            assert self.order.holder(more) in more

    def check_batch(self, batch: list[Entry], limit: int) -> None:
        at = [entry.at for entry in batch if entry.dead_letter is None]
        assert at == sorted(at)
        if at:
            still = [entry.at for stream in self.streams.values() for entry in stream.waiting if entry.event]
            assert all(at[-1] < later for later in still)
            held = [e.at for s in self.streams.values() for e in s.pushed[len(s.released) :] if e.event]
            assert all(at[-1] < later for later in held), "a group of equal times was cut apart"
        # More than the limit only by one group of equal times, with the dead letters among them.
        place = sorted(self.places(batch))
        assert not batch or sum(time < place[-1] for time in place) < limit

    def places(self, batch: list[Entry]) -> list[float]:
        """The time at which each entry stands: its own, or that of the entry before it in its partition."""
        standing: dict[tuple[str, int, int], float] = {}
        for stream in self.streams.values():
            running = accumulate((entry.at for entry in stream.pushed), max)
            standing |= {
                (e.record.topic, e.record.partition, e.record.offset): at
                for e, at in zip(stream.pushed, running, strict=True)
            }
        return [standing[(e.record.topic, e.record.partition, e.record.offset)] for e in batch]

    def check_account(self) -> None:
        """Nothing lost, repeated or reordered within a partition."""
        for partition, stream in self.streams.items():
            assert stream.released == stream.pushed[: len(stream.released)]
            assert self.order.buffered()[partition] == len(stream.pushed) - len(stream.released)
        assert len(self.order) == sum(self.order.buffered().values())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.sampled_from(PARTITIONS), st.integers(1, 5)),
        st.tuples(st.just("release"), st.none(), st.integers(1, 6)),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=300)
@given(st.lists(TIMES, min_size=3, max_size=3), STEPS, st.none() | st.tuples(st.integers(0, 25), st.integers(0, 2)))
def test_random_lives(
    times: list[list[int | None]], steps: list[tuple[Any, ...]], drop: tuple[int, int] | None
) -> None:
    """Released entries precede all that pending partitions still bring; all come out once, in offset order."""
    model = Model(times)
    for number, (kind, partition, count) in enumerate(steps):
        if drop and drop[0] == number:
            model.drop(PARTITIONS[drop[1]])
        if kind == "push":
            model.push(partition, count)
        else:
            model.release(count)
        model.check_account()
    drain(model)


def drain(model: Model) -> None:
    """Read on as a worker does: push what the holder has, release, until all is out."""
    for partition in list(model.streams):
        model.push(partition, 1)
    for _ in range(200):
        holder = model.order.holder(model.more)
        if holder:
            model.push(holder, 2)
        model.release(4)
        model.check_account()
        if not model.more and not len(model.order):
            break
    assert not len(model.order), "what is pending never came out"
    assert all(stream.released == stream.pushed for stream in model.streams.values())


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.integers(0, 50) | st.none(), max_size=15), min_size=3, max_size=3), st.integers(1, 7))
def test_disorder_inside_a_partition_loses_nothing(times: list[list[int | None]], limit: int) -> None:
    """Partitions that are not ordered in themselves still come out whole, each in the order of its offsets."""
    order = EventTimeOrder()
    pushed = {}
    for partition, values in zip(PARTITIONS, times, strict=True):
        order.add(partition)
        pushed[partition] = entries(partition, *values)
        order.push(pushed[partition])
    came: dict[Partition, list[Entry]] = defaultdict(list)
    while batch := order.release(limit, more=[]):
        for entry in batch:
            came[(entry.record.topic, entry.record.partition)].append(entry)
    assert {partition: list(came[partition]) for partition in PARTITIONS} == pushed
