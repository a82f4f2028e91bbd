"""Delta tables: rows and how far each Kafka partition is written, in one commit.

How far is kept as application transactions of the Delta log, one of each partition. The library records
them and refuses a commit beside another with the same one, but takes any value: what must stand there
before an append is looked at here.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, DeltaProtocolError, SchemaMismatchError

from streamscore.core.events.record import Partition
from streamscore.core.privacy.pseudonym import wrong_key
from streamscore.errors import ArchiveUnreachable, DataError, SettingsError, first_line

Reached = Mapping[Partition, int]

ARCHIVED_AT = pa.field("archived_at", pa.timestamp("us", "UTC"))
DATE = pa.field("date", pa.date32())
# Columns whose least and largest values are kept in the log; of others they would be the ids of persons.
MEASURED = ("kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp", "occurred_at", "archived_at")
# The application transaction that every append carries: times of archiving only grow, whoever appends.
CLOCK = "archived_at"
# The property of a table that tells whose pseudonyms it holds; one without it holds ids.
NAMING = "streamscore.pseudonyms"
# Appends of others, to other partitions of the same table, that one append may come after.
ATTEMPTS = 20
# What the library says of a log that it got and cannot read.
DAMAGED = ("Json error", "Arrow error", "No table metadata")
ZSTD = WriterProperties(compression="ZSTD")


class Overtaken(Exception):
    """Another archiver wrote to a partition of an append: nothing was appended."""


class Table:
    """A table to which each record is appended once. Its schema is that of its rows, and grows by new columns.

    `key_id` tells whose pseudonyms its rows hold, None where they hold ids; SettingsError from every method where
    those in the table are others.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.time, key_id: str | None = None) -> None:
        self.url, self._key_id, self._clock = url, key_id, clock
        self._opened: DeltaTable | None = None

    def reached(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """The next offset to be written of each partition of which something is; ArchiveUnreachable."""
        with storage(self.url):
            table = self._newest()
            found = {p: table.transaction_version(application(p)) for p in partitions} if table else {}
        return {partition: offset for partition, offset in found.items() if offset is not None}

    def coordinates(self, since: Reached) -> set[tuple[str, int, int]]:
        """Topic, partition and offset of the rows of some partitions from these offsets on; ArchiveUnreachable."""
        found: set[tuple[str, int, int]] = set()
        with storage(self.url):
            table = self._newest()
            if table is None:
                return found
            for (topic, number), offset in since.items():
                here = (plain(pc.field("kafka_topic")) == topic) & (pc.field("kafka_partition") == number)
                later = here & (pc.field("kafka_offset") >= offset)
                offsets = table.to_pyarrow_dataset().to_table(["kafka_offset"], later)["kafka_offset"].to_pylist()
                found |= {(topic, number, at) for at in offsets}
        return found

    def append(self, rows: pa.Table, before: Reached, after: Reached) -> None:
        """Add rows, and say how far each partition is written, if each stands where it stood `before`.

        Overtaken when one does not. ArchiveUnreachable leaves open whether the rows were added: ask `reached`.
        """
        with storage(self.url):
            for _ in range(ATTEMPTS):
                if self.reached(after.keys()) != {p: before[p] for p in after if p in before}:
                    raise Overtaken(self.url)
                try:
                    self._commit(self._opened or self._created(rows.schema), rows, after)
                except CommitFailedError:
                    continue  # another commit came between: look again whose
                return
            raise ArchiveUnreachable(f"{self.url}: others commit too often")

    def _commit(self, table: DeltaTable, rows: pa.Table, after: Reached) -> None:
        stamp = max(int(self._clock() * 1e6), (table.transaction_version(CLOCK) or 0) + 1)
        stamped = rows.append_column(ARCHIVED_AT, pa.repeat(pa.scalar(stamp, ARCHIVED_AT.type), len(rows)))
        transactions = [Transaction(application(p), offset) for p, offset in after.items()]
        write_deltalake(
            table,
            stamped,
            mode="append",
            schema_mode="merge",
            writer_properties=ZSTD,
            commit_properties=CommitProperties(app_transactions=[*transactions, Transaction(CLOCK, stamp)]),
        )

    def _newest(self) -> DeltaTable | None:
        """The table as it is now; None while there is none."""
        if self._opened is not None:
            self._opened.update_incremental()
        elif DeltaTable.is_deltatable(self.url):
            self._opened = self._named(DeltaTable(self.url))
        elif holds_files(self.url):
            raise DataError(f"{self.url} holds files that were imported: choose another archive.url")
        return self._opened

    def _created(self, schema: pa.Schema) -> DeltaTable:
        whole = schema.append(ARCHIVED_AT)
        measured = {"delta.dataSkippingStatsColumns": ",".join(n for n in MEASURED if n in whole.names)}
        created = DeltaTable.create(
            self.url,
            whole,
            mode="ignore",  # another archiver may just have made it
            partition_by=[DATE.name],
            name=Path(self.url).name,
            configuration=measured | ({NAMING: self._key_id} if self._key_id else {}),
            raise_if_key_not_exists=False,
        )
        self._opened = self._named(created)
        return self._opened

    def _named(self, table: DeltaTable) -> DeltaTable:
        check_key(table, self._key_id)
        return table


def check_key(table: DeltaTable, key_id: str | None) -> None:
    """SettingsError when a table holds other names of entities than are asked for."""
    if why := wrong_key(table.metadata().configuration.get(NAMING), key_id):
        raise SettingsError(f"{table.table_uri}: {why}")


class Snapshot(NamedTuple):
    """A table at one version, to be read; `key_id` tells whose pseudonyms it holds."""

    version: int
    rows: pa.dataset.Dataset
    key_id: str | None


def snapshot(url: str) -> Snapshot | None:
    """A table as it is now; None where there is none. ArchiveUnreachable."""
    with storage(url):
        if not DeltaTable.is_deltatable(url):
            return None
        table = DeltaTable(url)
        return Snapshot(table.version(), table.to_pyarrow_dataset(), table.metadata().configuration.get(NAMING))


def holds_files(url: str) -> bool:
    """Whether a folder holds files of rows that no table knows, and that a table's vacuum would delete."""
    local = url.removeprefix("file://")
    return "://" not in local and any(Path(local).glob("*.parquet"))


def plain(column: pc.Expression, kind: pa.DataType = pa.string()) -> pc.Expression:  # noqa: B008  a type is a value
    """A column to be compared: files that a removal wrote anew hold texts as views, which pyarrow cannot compare."""
    return column.cast(kind)


def application(partition: Partition) -> str:
    """The name of a partition's application transaction; a topic's name holds no slash."""
    return f"{partition[0]}/{partition[1]}"


@contextmanager
def storage(url: str) -> Iterator[None]:
    """Errors of the library as ours: ArchiveUnreachable where another try may help, else DataError."""
    try:
        yield
    except (SchemaMismatchError, DeltaProtocolError, pa.ArrowException) as error:
        raise DataError(f"{url}: {first_line(error)}") from None
    except (DeltaError, OSError) as error:
        if isinstance(error, ArchiveUnreachable):
            raise
        if isinstance(error, DeltaError) and any(words in str(error) for words in DAMAGED):
            raise DataError(f"{url}: its log is damaged: {first_line(error)}") from None
        raise ArchiveUnreachable(f"{url}: {first_line(error)}") from None
