"""`streamscore archiver`, which fills the archive, and `streamscore archive`, which keeps it in order."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from streamscore.cli_options import with_settings

if TYPE_CHECKING:
    from streamscore.settings import Settings


@click.command()
@click.option("--accept-gaps", is_flag=True, help="Go on where records were deleted before they were archived.")
@with_settings
def archiver(settings: "Settings", accept_gaps: bool) -> None:
    """Archive events, labels and scores until stopped. SIGTERM writes what was read; a second one aborts."""
    from streamscore.archiver_start import run_archiver

    run_archiver(settings, accept_gaps)


@click.group()
def archive() -> None:
    """The archive's tables: fewer files, no old rows, nothing of one person."""


@archive.command("compact")
@with_settings
def archive_compact(settings: "Settings") -> None:
    """Write the many small files of each table together; what a reader sees stays the same."""
    from streamscore import delta_upkeep

    for place, url in _tables(settings):
        before, after = delta_upkeep.compact(url)
        click.echo(f"{place}: {before:,} files became {after:,}")


@archive.command("vacuum")
@click.option("--hours", type=click.IntRange(1, 87_600), default=168, show_default=True, help="Files younger are kept.")
@with_settings
def archive_vacuum(settings: "Settings", hours: int) -> None:
    """Delete files that no longer belong to a table, and those that a crash left."""
    from streamscore import delta_upkeep

    for place, url in _tables(settings):
        click.echo(f"{place}: {delta_upkeep.vacuum(url, hours):,} files deleted")


@archive.command("retain")
@click.option("--days", type=click.IntRange(1, 36_525), required=True, help="Days of records that are kept.")
@with_settings
def archive_retain(settings: "Settings", days: int) -> None:
    """Remove rows of records older than so many days; their files go with a later vacuum."""
    from datetime import UTC, datetime

    from streamscore import delta_upkeep

    today = datetime.now(UTC).date()
    for place, url in _tables(settings):
        click.echo(f"{place}: {delta_upkeep.retain(url, days, today):,} rows of more than {days} days ago removed")


@archive.command("erase")
@click.option("--entity", required=True, metavar="FIELD=ID", help="Whose rows, e.g. customer_id=c012497.")
@with_settings
def archive_erase(settings: "Settings", entity: str) -> None:
    """Remove the rows of one entity from the archive, the files that held them, and every snapshot that may hold it."""
    from datetime import UTC, datetime

    from streamscore.archive_erase import erased, forgotten

    name, equals, value = entity.partition("=")
    if not (name and equals and value):
        raise click.UsageError("--entity: expected FIELD=ID")
    for place, rows in erased(settings, name, value):
        click.echo(f"{place}: {rows:,} rows erased{', and the files that held them' if rows else ''}")
    for event_type, snapshots in forgotten(settings, name, datetime.now(UTC)):
        click.echo(f"{event_type}: {snapshots} snapshots removed")
    click.echo(
        "Kafka's topics were not touched, copies of the archive neither. Workers that run know the entity until they "
        "are started again, and make no snapshot before. A file that a crash left behind is in no table: "
        "`streamscore archive vacuum --hours 1` deletes it.",
        err=True,
    )


def _tables(settings: "Settings") -> Iterator[tuple[str, str]]:
    """Place and URL of each table that is there; DataError when none is."""
    from streamscore.archive_routes import routes
    from streamscore.delta_upkeep import exists
    from streamscore.errors import DataError

    places = sorted({place for route in routes(settings).values() for place in route.tables})
    found = [(place, f"{settings.archive.url.rstrip('/')}/{place}") for place in places]
    there = [(place, url) for place, url in found if exists(url)]
    if not there:
        raise DataError(f"{settings.archive.url} holds no tables")
    yield from there
