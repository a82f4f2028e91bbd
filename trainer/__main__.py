"""The trainer's command line."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamscore.cli_options import prepare_process
from streamscore.errors import SettingsError, StreamScoreError

if TYPE_CHECKING:
    from trainer.fit import Epoch
    from trainer.settings import TrainingSettings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="streamscore")
def cli() -> None:
    """Train the models that `streamscore worker` scores with."""


@cli.command()
@click.option("--archive", type=click.Path(path_type=Path), required=True, help="Folder with events/ and labels/.")
@click.option("--event-type", required=True, help="transaction, application, or module:NAME of your own.")
@click.option("--store", default="models", show_default=True, help="Folder or fsspec URL of the model store.")
@click.option("--promote", is_flag=True, help="Make it the champion even if there is one; else it is the challenger.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="A training setting, e.g. preset=dense.")
def once(archive: Path, event_type: str, store: str, promote: bool, values: tuple[str, ...]) -> None:
    """Train one model on an archive folder, add it to the store and give it an alias."""
    from streamscore.event_types import find
    from streamscore.store import ModelStore

    chosen, settings = find(event_type), parsed(values)
    # These take seconds to import: what was typed is looked at first.
    from trainer.evaluate import doubt
    from trainer.run import Progress, place, train_once

    models = ModelStore(store, chosen.name)
    manifest = train_once(archive, chosen, models, settings, datetime.now(UTC), Progress(say, say_epoch))
    alias = place(models, manifest.version, promote)
    test = manifest.metrics["test"]
    say(f"{manifest.version} is the {alias} of {chosen.name}")
    say(f"test: AUC {test['auc']:.4f}, average precision {test['average_precision']:.4f}, ECE {test['ece']:.5f}")
    for name, figures in manifest.metrics["baselines"].items():
        say(f"  beside {name}: AUC {figures['auc']:.4f}, average precision {figures['average_precision']:.4f}")
    if weakness := doubt(manifest.metrics):
        say(f"think twice before this model decides anything: {weakness}")


def parsed(values: tuple[str, ...]) -> "TrainingSettings":
    """Training settings from key=value pairs; SettingsError names what is wrong."""
    from pydantic import ValidationError

    from trainer.settings import TrainingSettings

    given = dict(value.partition("=")[::2] for value in values)
    try:
        return TrainingSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        known = ", ".join(TrainingSettings.model_fields)
        raise SettingsError(f"--set {'.'.join(map(str, first['loc']))}: {first['msg']} (settings: {known})") from None


def say(sentence: str) -> None:
    """Progress goes to standard error, so that standard output stays free."""
    click.echo(sentence, err=True)


def say_epoch(epoch: "Epoch") -> None:
    say(
        f"  epoch {epoch.number}/{epoch.epochs}  loss {epoch.loss:.5f}  "
        f"validation average precision {epoch.average_precision:.4f}  {epoch.seconds_left:.0f} s left"
    )


def main() -> None:
    """Run a command; an expected failure is one line and its exit code."""
    prepare_process()
    try:
        cli()
    except StreamScoreError as error:
        say(f"trainer: {error}")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
