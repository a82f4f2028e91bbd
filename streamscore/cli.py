"""The command line: each command builds what it needs from the settings and runs it.

Imports stand in the commands, so that `--help` answers at once and never loads a Keras backend.
"""

import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamscore.errors import StreamScoreError

if TYPE_CHECKING:
    from streamscore.settings import Settings

CONTEXT = {"help_option_names": ["-h", "--help"]}


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the settings of --config, the environment and --set, as its first argument."""

    @click.option("--config", type=click.Path(path_type=Path), envvar="STREAMSCORE_CONFIG", help="YAML file.")
    @click.option("--set", "flags", multiple=True, metavar="KEY=VALUE", help="A setting, e.g. kafka.group=risk.")
    @wraps(command)
    def loaded(config: Path | None, flags: tuple[str, ...], **rest: Any) -> Any:
        return command(effective(config, flags)[0], **rest)

    return loaded


def effective(config: Path | None, flags: tuple[str, ...]) -> "tuple[Settings, dict[str, str]]":
    """The settings in force and the origin of each."""
    from streamscore.settings import load

    return load(config, os.environ, flags)


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="streamscore")
def cli() -> None:
    """Score Kafka events with a Keras model: risks, decisions, and alerts with reasons."""


@cli.command()
@with_settings
def worker(settings: "Settings") -> None:
    """Score events until stopped. SIGTERM drains and leaves the group; a second one aborts."""
    from streamscore.startup import run_worker

    run_worker(settings)


@cli.command()
@with_settings
def check(settings: "Settings") -> None:
    """Look at settings, broker, topics and models: each is ok, or says what is wrong."""
    from streamscore.checks import checks

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
    from streamscore.settings import shown

    rows = list(shown(*effective(config, flags)))
    width = max(len(row.key) for row in rows)
    for row in rows:
        click.echo(f"{row.key:{width}}  {row.value}  ({row.origin})")


@cli.group()
def topics() -> None:
    """The topics that the worker reads and writes."""


@topics.command("create")
@click.option("--partitions", type=click.IntRange(1, 10_000), default=6, show_default=True)
@click.option("--replication", type=click.IntRange(1, 10), default=1, show_default=True)
@with_settings
def topics_create(settings: "Settings", partitions: int, replication: int) -> None:
    """Create the topics that are missing; those that exist are left as they are."""
    from streamscore.kafka_clients import create_topics
    from streamscore.startup import needed_topics

    counts = dict.fromkeys(needed_topics(settings), partitions)
    for name, result in create_topics(settings.kafka, counts, replication).items():
        click.echo(f"{result:8} {name}")


@cli.group()
def models() -> None:
    """The model store: bundles and the aliases champion, challenger and previous."""


def in_store(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the model store of --event-type under --store."""

    @click.option("--store", default="models", show_default=True, help="Folder or fsspec URL.")
    @click.option("--event-type", required=True, help="Name of the event type, as in the store.")
    @wraps(command)
    def opened(store: str, event_type: str, **rest: Any) -> Any:
        from streamscore.store import ModelStore

        return command(ModelStore(store, event_type), **rest)

    return opened


@models.command("list")
@in_store
def models_list(store: Any) -> None:
    """Every bundle, oldest first, with its aliases and its quality on its own test part."""
    pointing: dict[str, list[str]] = {}
    for alias in ("champion", "challenger", "previous"):
        pointing.setdefault(store.alias(alias) or "", []).append(alias)
    for version in store.versions():
        test = store.manifest(version).metrics.get("test", {})
        figures = "  ".join(f"{name} {value:.4f}" for name, value in test.items())
        click.echo(f"{version}  {figures}  {' '.join(pointing.get(version, []))}".rstrip())


@models.command("show")
@click.argument("version")
@in_store
def models_show(store: Any, version: str) -> None:
    """A bundle's card, after its digests were verified. VERSION may be an alias."""
    version = store.alias(version) or version if version in ("champion", "challenger", "previous") else version
    files = store.read(version).files
    click.echo(files["card.md"].decode() if "card.md" in files else store.manifest(version).model_dump_json(indent=2))


@models.command("promote")
@click.argument("version")
@in_store
def models_promote(store: Any, version: str) -> None:
    """Make a bundle the champion, after its digests were verified; workers take it within seconds."""
    store.promote(version)
    click.echo(f"{version} is the champion")


@models.command("rollback")
@in_store
def models_rollback(store: Any) -> None:
    """Make the previous champion the champion again."""
    click.echo(f"{store.rollback()} is the champion again")


def main() -> None:
    """Run a command; an expected failure is one line and its exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    try:
        cli()
    except StreamScoreError as error:
        click.echo(f"streamscore: {error}", err=True)
        sys.exit(error.exit_code)
