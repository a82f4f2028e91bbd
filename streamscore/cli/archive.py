"""`streamscore archiver`, which fills the archive, and `streamscore archive`, which keeps it in order."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from streamscore.cli.options import with_settings

if TYPE_CHECKING:
    from streamscore.settings.schema import Settings


@click.command()
@click.option("--accept-gaps", is_flag=True, help="Go on where records were deleted before they were archived.")
@with_settings
def archiver(settings: "Settings", accept_gaps: bool) -> None:
    """Archive events, labels and scores until stopped. SIGTERM writes what was read; a second one aborts."""
    from streamscore.archive.startup import run_archiver

    run_archiver(settings, accept_gaps)


@click.group()
def archive() -> None:
    """The archive's tables: fewer files, no old rows, nothing of one person."""


@archive.command("compact")
@with_settings
def archive_compact(settings: "Settings") -> None:
    """Write the many small files of each table together; what a reader sees stays the same."""
    from streamscore.archive import upkeep as delta_upkeep

    def work(url: str) -> str:
        before, after = delta_upkeep.compact(url)
        return f"{before:,} files became {after:,}"

    _each(settings, work)


@archive.command("vacuum")
@click.option("--hours", type=click.IntRange(1, 87_600), default=168, show_default=True, help="Files younger are kept.")
@with_settings
def archive_vacuum(settings: "Settings", hours: int) -> None:
    """Delete files that no longer belong to a table, and those that a crash left."""
    from streamscore.archive import upkeep as delta_upkeep

    _each(settings, lambda url: f"{delta_upkeep.vacuum(url, hours):,} files deleted")


@archive.command("retain")
@click.option("--days", type=click.IntRange(1, 36_525), required=True, help="Days of records that are kept.")
@with_settings
def archive_retain(settings: "Settings", days: int) -> None:
    """Remove rows of records older than so many days; their files go with a later vacuum."""
    from datetime import UTC, datetime

    from streamscore.archive import upkeep as delta_upkeep

    today = datetime.now(UTC).date()
    _each(
        settings,
        lambda url: f"{delta_upkeep.retain(url, days, today):,} rows of more than {days} days ago removed",
        whole=True,
    )


@archive.command("erase")
@click.option("--entity", required=True, metavar="FIELD=ID", help="Whose rows, e.g. customer_id=c012497.")
@with_settings
def archive_erase(settings: "Settings", entity: str) -> None:
    """Remove the rows of one entity from the archive, the files that held them, and every snapshot that may hold it."""
    from datetime import UTC, datetime

    from streamscore.archive.erase import erased
    from streamscore.errors import DataError
    from streamscore.recovery.erase import forgotten

    name, equals, value = entity.partition("=")
    if not (name and equals and value):
        raise click.UsageError("--entity: expected FIELD=ID")
    failure = None
    try:
        for line in erased(settings, name, value):
            click.echo(line)
    except DataError as error:
        failure = error  # snapshots go all the same, also where there is no archive
    for event_type, snapshots in forgotten(settings, name, datetime.now(UTC)):
        click.echo(f"{event_type}: {snapshots} snapshots removed")
    if failure:
        raise failure
    click.echo(
        "Kafka's topics were not touched, copies of the archive neither. Workers that run know the entity until they "
        "are started again, and make no snapshot before. A file that a crash left behind less "
        "than an hour ago is in no table: `streamscore archive vacuum --hours 1` deletes it then.",
        err=True,
    )


def _each(settings: "Settings", work: Callable[[str], str], whole: bool = False) -> None:
    """Work at the URL of each table; DataError at the end when one failed, or, of the `whole` archive, is not known."""
    from streamscore.archive.tables import tables, upkeep

    found = tables(settings)
    for line in upkeep(found.known, lambda place: work(found.url(place)), found.others if whole else ()):
        click.echo(line)
