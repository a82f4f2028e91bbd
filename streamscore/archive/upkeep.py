"""What keeps the archive's Delta tables in order: fewer files, no old ones, no old rows, nothing of one person."""

from collections.abc import Callable
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.fs
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from streamscore.archive.delta import ATTEMPTS, DATE, ZSTD, check_key, plain, storage
from streamscore.archive.schemas import COORDINATES
from streamscore.core.privacy.mention import mentions
from streamscore.errors import ArchiveUnreachable, DataError

# Of a file that an archiver writes and has not committed yet, none is younger.
LEAST_HOURS = 1
# Refused records in memory at a time: one may be as long as Kafka lets it be.
REFUSED_ROWS = 1024
# Rows that one commit removes by their offsets: with some tens of thousands the library ends the process.
OFFSETS = 5_000

_partition = itemgetter("kafka_topic", "kafka_partition")


class Person(NamedTuple):
    """One entity: the column of its id, and the id."""

    column: str
    id: str | int


def exists(url: str) -> bool:
    """Whether there is a table; ArchiveUnreachable."""
    with storage(url):
        return bool(DeltaTable.is_deltatable(url))


def children(url: str) -> list[str]:
    """The names of the folders at a URL, none where there is nothing; ArchiveUnreachable."""
    with storage(url):
        try:
            files = pyarrow.fs.PyFileSystem(DeltaStorageHandler(url))
        except TableNotFoundError:
            return []
        found = files.get_file_info(pyarrow.fs.FileSelector("", allow_not_found=True))
        return [info.base_name for info in found if info.type == pyarrow.fs.FileType.Directory]


def check(url: str, key_id: str | None) -> None:
    """SettingsError when a table holds other names of entities than are asked for; ArchiveUnreachable."""
    with storage(url):
        check_key(DeltaTable(url), key_id)


def compact(url: str) -> tuple[int, int]:
    """Write small files together; how many files there are no more, and how many in their place."""
    done = _again(url, lambda table: table.optimize.compact(writer_properties=ZSTD))
    return int(done["numFilesRemoved"]), int(done["numFilesAdded"])


def vacuum(url: str, hours: int) -> int:
    """Delete files that have not belonged to the table for so long, and what a crash left; how many."""
    if hours < LEAST_HOURS:
        raise DataError("a file younger than an hour may be one that an archiver is writing")
    return _vacuumed(url, hours, forgotten=True)


def retain(url: str, days: int, today: date) -> int:
    """Remove the rows of dates more than so many days ago; how many. Their files go with the next vacuum."""
    oldest = (today - timedelta(days=days)).isoformat()

    def remove(table: DeltaTable) -> int:
        before = table.count()
        table.delete(f"{DATE.name} < '{oldest}'")
        return before - table.count()

    return _again(url, remove)


def erase(url: str, person: Person) -> int:
    """Remove one person's rows, and every file that held them, also those given up earlier; how many rows."""
    column = pc.field(person.column)
    theirs = column == person.id if isinstance(person.id, int) else plain(column) == person.id
    return _erase(url, lambda rows: rows.to_table([*COORDINATES], theirs).to_pylist())


def erase_refused(url: str, identity: str | int) -> int:
    """As `erase`, of records that could not be read and whose key or value may name the id, as `mention` tells."""
    named = mentions(identity)

    def theirs(rows: pa.dataset.Dataset) -> list[dict[str, Any]]:
        batches = rows.to_batches([*COORDINATES, "key", "value"], batch_size=REFUSED_ROWS)
        read = (row for batch in batches for row in batch.to_pylist())
        return [row for row in read if any(row[part] is not None and named(row[part]) for part in ("key", "value"))]

    return _erase(url, theirs)


def _erase(url: str, theirs: Callable[[pa.dataset.Dataset], list[dict[str, Any]]]) -> int:
    """Rows are removed by their coordinates: the log keeps the words of each removal, and no id may be among them."""

    def remove(table: DeltaTable) -> int:
        rows = sorted(theirs(table.to_pyarrow_dataset()), key=_partition)
        for (topic, number), found in groupby(rows, _partition):
            offsets = [str(row["kafka_offset"]) for row in found]
            for first in range(0, len(offsets), OFFSETS):
                some = ", ".join(offsets[first : first + OFFSETS])
                where = f"kafka_topic = '{topic}' AND kafka_partition = {number} AND kafka_offset IN ({some})"
                table.delete(where, writer_properties=ZSTD)
        return len(rows)

    rows = _again(url, remove)
    _gone(url)
    return int(rows)


def _gone(url: str) -> None:
    """Delete the files that the table gave up, whoever did and whenever, not those that are not in it yet.

    Also without rows to remove: an erasure that was interrupted, or a removal of old rows, may have left them there.
    What the log has forgotten, as it does in time, is known by its age.
    """
    for hours, forgotten in ((0, False), (LEAST_HOURS, True)):
        _vacuumed(url, hours, forgotten)


def _vacuumed(url: str, hours: int, forgotten: bool) -> int:
    return len(
        _again(
            url,
            lambda table: table.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=forgotten),
        )
    )


def _again(url: str, work: Callable[[DeltaTable], Any]) -> Any:
    """Work on the newest version of a table, again when an archiver came between."""
    with storage(url):
        for _ in range(ATTEMPTS):
            try:
                return work(DeltaTable(url))
            except CommitFailedError:
                continue
        raise ArchiveUnreachable(f"{url}: archivers commit too often")
