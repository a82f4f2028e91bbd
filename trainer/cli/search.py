"""The command `trainer search`."""

import shlex
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trainer.cli.options import archive_option, as_of_option, event_type_option, parsed, say

if TYPE_CHECKING:
    from trainer.search import Sampler


@click.command()
@archive_option
@event_type_option
@as_of_option
@click.option("--trials", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Settings to try.")
@click.option("--folds", type=click.IntRange(2, 20), default=3, show_default=True, help="Folds to try them on.")
@click.option("--sampler", type=click.Choice(["random", "bayesian"]), default="random", show_default=True, help="How.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="A setting that is not searched for.")
def search(
    archive: str,
    event_type: str,
    as_of: datetime | None,
    trials: int,
    folds: int,
    sampler: "Sampler",
    values: tuple[str, ...],
) -> None:
    """Try settings on rows before the test part and print the best as arguments of `trainer once`."""
    from streamscore.archive.read import Rows
    from streamscore.registry import find_event_type

    chosen, settings = find_event_type(event_type), parsed(values)
    # These take seconds to import: what was typed is looked at first.
    from trainer.data import dataset
    from trainer.run import check
    from trainer.search import Effort, arguments
    from trainer.search import search as searched

    check(chosen, settings)
    with tempfile.TemporaryDirectory() as folder:
        which = dataset.Which.of(Rows(as_of=as_of), settings)
        data = dataset.read(archive, chosen, Path(folder), say, which)
        found = searched(data, chosen, settings, Effort(trials, folds, sampler), say)
    say(f"the best reached {found.reached:.4f}" + ("" if found.values else ", with the settings as they are"))
    of = [f"--as-of {as_of:%Y-%m-%dT%H:%M:%SZ}"] if as_of else []
    given = [*of, *(f"--set {shlex.quote(value)}" for value in values), arguments(found.values)]
    click.echo(" ".join(filter(None, given)))
