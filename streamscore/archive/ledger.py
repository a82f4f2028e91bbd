"""How far the tables of one topic are, so that each record is written to exactly one of them, once.

A roll is written table by table, each with the offsets it reaches; the last table's say how far the archive is.
What a crash left in a table before it is *settled*: known by its coordinates, and not written again, whatever
would be made of those records now.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from streamscore.archive.delta import Table
from streamscore.archive.rows import Rows
from streamscore.core.events.record import Partition, Record


@dataclass
class Roll:
    """Rows of a topic that are not in the archive yet, by table, and the next offset of each of its partitions."""

    since: float = 0.0  # when its first row came, and its last
    newest: float = 0.0
    rows: dict[str, list[pa.Table]] = field(default_factory=dict)
    reached: dict[Partition, int] = field(default_factory=dict)
    count: int = 0
    nbytes: int = 0

    def add(self, rows: Rows, reached: dict[Partition, int], now: float) -> None:
        """Add the rows of some records, and the next offsets of the partitions that they are from."""
        if not self.reached:
            self.since = now
        for place, found in rows.items():
            self.rows.setdefault(place, []).append(found)
            self.count += len(found)
            self.nbytes += found.nbytes
        self.reached |= reached
        self.newest = now

    def drop(self, partitions: Collection[Partition]) -> None:
        """Forget what came of some partitions."""
        leaving = [p for p in partitions if self.reached.pop(p, None) is not None]
        for topic, number in leaving:
            theirs = (pc.field("kafka_topic") == topic) & (pc.field("kafka_partition") == number)
            self.rows = {place: [t.filter(~theirs) for t in tables] for place, tables in self.rows.items()}
        held = [table for tables in self.rows.values() for table in tables]
        self.count, self.nbytes = sum(map(len, held)), sum(table.nbytes for table in held)


class TopicProgress:
    """The tables of a topic, in the order of writing, and how far each is believed to be."""

    def __init__(self, tables: Sequence[Table], places: Sequence[str]) -> None:
        self._tables = dict(zip(places, tables, strict=True))
        self._last = places[-1]
        self._believed: dict[str, dict[Partition, int]] = {place: {} for place in places}
        self._settled: set[tuple[str, int, int]] = set()

    @property
    def archived(self) -> dict[Partition, int]:
        """The next offset to be archived of each partition of which something is, as far as was written or asked."""
        return self._believed[self._last]

    def begin(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """The next offset to be archived of each partition of which something is; ArchiveUnreachable."""
        for place, table in self._tables.items():
            found = table.reached(partitions)
            kept = {p: o for p, o in self._believed[place].items() if p not in partitions}
            self._believed[place] = kept | found
        start = self._believed[self._last]
        for place, table in self._tables.items():
            ahead = {p: start.get(p, 0) for p, o in self._believed[place].items() if o > start.get(p, 0)}
            if ahead:
                self._settled |= table.coordinates(ahead)
        return {p: start[p] for p in partitions if p in start}

    def unsettled(self, records: Sequence[Record]) -> Sequence[Record]:
        """The records that no earlier archiver wrote before it crashed."""
        if not self._settled:
            return records
        return [r for r in records if (r.topic, r.partition, r.offset) not in self._settled]

    def write(self, roll: Roll) -> dict[str, int]:
        """Append a roll to the tables; how many rows each got.

        After Overtaken and ArchiveUnreachable, as `Table.append` says, a part may be written: `begin` again.
        """
        written = {}
        for place, table in self._tables.items():
            rows = pa.concat_tables(roll.rows[place]) if place in roll.rows else ()
            if not len(rows) and place != self._last:
                continue
            believed = self._believed[place]
            after = {p: max(offset, believed.get(p, 0)) for p, offset in roll.reached.items()}
            table.append(rows, believed, after)
            believed |= after
            written[place] = len(rows)
        return written
