"""The commands `trainer once` and `trainer report`."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamscore.cli.models import in_store, named
from trainer.cli.options import archive_option, as_of_option, event_type_option, parsed, say, store_option

if TYPE_CHECKING:
    from streamscore.models.store import ModelStore
    from trainer.fitting.fit import Epoch
    from trainer.training import Trained


@click.command()
@archive_option
@event_type_option
@store_option
@as_of_option
@click.option("--promote", is_flag=True, help="Make it the champion whatever the gates say.")
@click.option("--report", type=click.Path(path_type=Path), help="Folder for its report: a page, and plots as PNGs.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="A training setting, e.g. preset=dense.")
def once(
    archive: str,
    event_type: str,
    store: str,
    as_of: datetime | None,
    promote: bool,
    report: Path | None,
    values: tuple[str, ...],
) -> None:
    """Train one model, add it to the store, and promote it when no gate speaks against it."""
    from streamscore.registry import find_event_type
    from trainer.report.export import exported, place_for

    chosen, settings = find_event_type(event_type), parsed(values)
    if report:
        place_for(report)

    # These take seconds to import: what was typed is looked at first.
    from streamscore.archive.read import Rows
    from trainer.run import Progress, Source
    from trainer.training import train

    trained = train(
        Source(archive, Rows(as_of=as_of)),
        chosen,
        store,
        settings,
        promote="always" if promote else "gates",
        progress=Progress(say, say_epoch),
    )
    _print(trained, chosen.name)
    if report:
        say(f"its report is {exported(trained.store.read(trained.manifest.version), report)[0]}")
    _doubt(trained)


def _print(trained: "Trained", event_type: str) -> None:
    """What came of the training, and how good the model is."""
    metrics = trained.manifest.metrics
    became = f", it is the {trained.alias} of {event_type}" if trained.alias else ""
    say(f"{trained.manifest.version}: {trained.verdict}{became}")
    for reason in filter(None, (*trained.reasons, trained.why)):
        say(f"  {reason}")
    if trained.waits and not trained.alias:
        say("  the challenger waits for its answers and keeps its place")
    test = metrics["test"]
    say(f"test: AUC {test['auc']:.4f}, average precision {test['average_precision']:.4f}, ECE {test['ece']:.5f}")
    for name, figures in metrics["baselines"].items():
        say(f"  beside {name}: AUC {figures['auc']:.4f}, average precision {figures['average_precision']:.4f}")


def _doubt(trained: "Trained") -> None:
    from trainer.evaluation.evaluate import doubt

    if weakness := doubt(trained.manifest.metrics):
        say(f"think twice before this model decides anything: {weakness}")


@click.command()
@click.argument("version")
@click.argument("folder", type=click.Path(path_type=Path))
@in_store
def report(store: "ModelStore", version: str, folder: Path) -> None:
    """Write a bundle's report to FOLDER: a page, and its plots as PNGs. VERSION may be an alias."""
    from trainer.report.export import exported

    for path in exported(store.read(named(store, version)), folder):
        click.echo(path)


def say_epoch(epoch: "Epoch") -> None:
    """One line for each epoch."""
    say(
        f"  epoch {epoch.number}/{epoch.epochs}  loss {epoch.loss:.5f}  "
        f"validation average precision {epoch.average_precision:.4f}  {epoch.seconds_left:.0f} s left"
    )
