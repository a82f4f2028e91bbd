"""The command line: each command builds what it needs from the settings and runs it.

Imports stand in the commands, so that `--help` answers at once and never loads a Keras backend.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamscore.cli.archive import archive, archiver
from streamscore.cli.drift import drift
from streamscore.cli.files import features, import_, replay, score, simulate
from streamscore.cli.models import models
from streamscore.cli.options import Between, effective, prepare_process, with_settings
from streamscore.errors import StreamScoreError

if TYPE_CHECKING:
    from streamscore.settings.schema import Settings

CONTEXT = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="streamscore")
def cli() -> None:
    """Score Kafka events with a Keras model: risks, decisions, and alerts with reasons."""


@cli.command()
@with_settings
def worker(settings: "Settings") -> None:
    """Score events until stopped. SIGTERM drains and leaves the group; a second one aborts."""
    from streamscore.worker.worker import run_worker

    run_worker(settings)


@cli.command()
@with_settings
def check(settings: "Settings") -> None:
    """Look at settings, broker, topics and models: each is ok, or says what is wrong."""
    from streamscore.worker.checks import checks

    failed = 0
    for name, problem in checks(settings):
        failed += problem is not None
        click.echo(f"{'FAIL' if problem else 'ok':4}  {name}{f': {problem}' if problem else ''}")
    sys.exit(1 if failed else 0)


@cli.group()
def config() -> None:
    """The settings in force."""


@config.command("show")
@click.option("--config", type=click.Path(path_type=Path), envvar="STREAMSCORE_CONFIG", help="YAML file.")
@click.option("--set", "flags", multiple=True, metavar="KEY=VALUE", help="A setting, e.g. kafka.group=risk.")
def config_show(config: Path | None, flags: tuple[str, ...]) -> None:
    """Print each setting with its value and origin; secrets are masked."""
    from streamscore.settings.load import shown

    rows = list(shown(*effective(config, flags)))
    width = max(len(row.key) for row in rows)
    for row in rows:
        click.echo(f"{row.key:{width}}  {row.value}  ({row.origin})")


@cli.command()
@click.option("--duration", type=Between(1, 1e9), help="Seconds from the first score on; else until Ctrl-C.")
@click.option("--plain", is_flag=True, help="Lines instead of a live page.")
def demo(duration: float | None, plain: bool) -> None:
    """See it work, with nothing else installed. The last line on standard output is JSON."""
    from streamscore.demo.run import run

    click.echo(json.dumps(run(duration, plain)))


@cli.group()
def topics() -> None:
    """The topics that the worker reads and writes."""


@topics.command("create")
@click.option("--partitions", type=click.IntRange(1, 10_000), default=6, show_default=True)
@click.option("--replication", type=click.IntRange(1, 10), default=1, show_default=True)
@with_settings
def topics_create(settings: "Settings", partitions: int, replication: int) -> None:
    """Create the topics that are missing; those that exist are left as they are."""
    from streamscore.kafka.topics import create_topics
    from streamscore.worker.startup import needed_topics

    counts = dict.fromkeys(needed_topics(settings), partitions)
    for name, result in create_topics(settings.kafka, counts, replication).items():
        click.echo(f"{result:8} {name}")


cli.add_command(models)
for command in (archiver, archive, drift, simulate, replay, score, features, import_):
    cli.add_command(command)


def main() -> None:
    """Run a command; an expected failure is one line and its exit code."""
    prepare_process()
    try:
        cli()
    except StreamScoreError as error:
        click.echo(f"streamscore: {error}", err=True)
        sys.exit(error.exit_code)
