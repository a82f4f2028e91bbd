"""The trainer's command line."""

import sys

import click

from streamscore.cli.options import prepare_process
from streamscore.errors import StreamScoreError
from trainer.cli.backtest import backtest
from trainer.cli.compare import compare
from trainer.cli.once import once, report
from trainer.cli.options import say
from trainer.cli.search import search
from trainer.cli.watch import watch


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="streamscore")
def cli() -> None:
    """Train the models that `streamscore worker` scores with."""


for command in (once, report, watch, compare, backtest, search):
    cli.add_command(command)


def main() -> None:
    """Run a command; an expected failure is one line and its exit code."""
    prepare_process()
    try:
        cli()
    except StreamScoreError as error:
        say(f"trainer: {error}")
        sys.exit(error.exit_code)
