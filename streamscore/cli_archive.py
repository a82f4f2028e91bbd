"""`streamscore archiver`, which fills the archive, and `streamscore archive`, which keeps it in order."""

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
