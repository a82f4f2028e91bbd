"""What keeps the archive's Delta tables in order: fewer files, no old ones, no old rows, nothing of one person."""

from collections.abc import Callable
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from streamscore.delta import ATTEMPTS, DATE, ZSTD, check_naming, plain, storage
from streamscore.errors import ArchiveUnreachable, DataError

# Of a file that an archiver writes and has not committed yet, none is younger.
LEAST_HOURS = 1
COORDINATES = ["kafka_topic", "kafka_partition", "kafka_offset"]

_partition = itemgetter("kafka_topic", "kafka_partition")


class Person(NamedTuple):
    """One entity: the column of its id, what it is called in JSON, and the id."""

    column: str
    wire_name: str
    id: str | int


def exists(url: str) -> bool:
    """Whether there is a table; ArchiveUnreachable."""
    with storage(url):
        return bool(DeltaTable.is_deltatable(url))


def check(url: str, naming: str | None) -> None:
    """SettingsError when a table holds other names of entities than are asked for; ArchiveUnreachable."""
    with storage(url):
        check_naming(DeltaTable(url), naming)


def compact(url: str) -> tuple[int, int]:
    """Write small files together; how many files there are no more, and how many in their place."""
    done = _again(url, lambda table: table.optimize.compact(writer_properties=ZSTD))
    return int(done["numFilesRemoved"]), int(done["numFilesAdded"])


def vacuum(url: str, hours: int) -> int:
    """Delete files that have not belonged to the table for so long, and what a crash left; how many."""
    if hours < LEAST_HOURS:
        raise DataError("a file younger than an hour may be one that an archiver is writing")
    return len(
        _again(
            url,
            lambda table: table.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True),
        )
    )


def retain(url: str, days: int, today: date) -> int:
    """Remove the rows of dates more than so many days ago; how many. Their files go with the next vacuum."""
    oldest = (today - timedelta(days=days)).isoformat()

    def remove(table: DeltaTable) -> int:
        before = table.count()
        table.delete(f"{DATE.name} < '{oldest}'")
        return before - table.count()

    return _again(url, remove)


def erase(url: str, person: Person) -> int:
    """Remove one person's rows, and every file that held them; how many rows."""
    column = pc.field(person.column)
    return _erase(url, column == person.id if isinstance(person.id, int) else plain(column) == person.id)


def erase_refused(url: str, person: Person) -> int:
    """As `erase`, of records that could not be read and name the person in their JSON or as their key."""
    named = rf'"{_literal(person.wire_name)}"\s*:\s*"?{_literal(str(person.id))}["\s,}}]'
    key, value = plain(pc.field("key"), pa.binary()), plain(pc.field("value"), pa.binary())
    return _erase(url, (key == str(person.id).encode()) | pc.match_substring_regex(value, named))


def _erase(url: str, theirs: pc.Expression) -> int:
    """Rows are removed by their coordinates: the log keeps the words of each removal, and no id may be among them."""

    def remove(table: DeltaTable) -> int:
        rows = table.to_pyarrow_dataset().to_table(COORDINATES, theirs).to_pylist()
        rows.sort(key=_partition)
        for (topic, number), found in groupby(rows, _partition):
            offsets = ", ".join(str(row["kafka_offset"]) for row in found)
            where = f"kafka_topic = '{topic}' AND kafka_partition = {number} AND kafka_offset IN ({offsets})"
            table.delete(where, writer_properties=ZSTD)
        return len(rows)

    return _gone(url, _again(url, remove))


def _gone(url: str, rows: int) -> int:
    """Delete the files that the table gave up, not those that are not in it yet."""
    if rows:
        _again(url, lambda table: table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=False))
    return rows


def _again(url: str, work: Callable[[DeltaTable], Any]) -> Any:
    """Work on the newest version of a table, again when an archiver came between."""
    with storage(url):
        for _ in range(ATTEMPTS):
            try:
                return work(DeltaTable(url))
            except CommitFailedError:
                continue
        raise ArchiveUnreachable(f"{url}: archivers commit too often")


def _literal(text: str) -> str:
    return "".join(f"\\{sign}" if not sign.isalnum() and sign.isascii() else sign for sign in text)
