"""`streamscore models`: what is in the model store, and which bundle is the champion."""

import json
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from streamscore.errors import BundleError, StoreUnreachable

if TYPE_CHECKING:
    from streamscore.core.scoring.bundle import Manifest
    from streamscore.models.bundle_files import Alias
    from streamscore.models.store import ModelStore

ALIASES: "tuple[Alias, ...]" = ("champion", "challenger", "previous")


@click.group()
def models() -> None:
    """The model store: bundles and the aliases champion, challenger and previous."""


def in_store(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the model store of --event-type under --store."""

    @click.option("--store", default="models", show_default=True, help="Folder or fsspec URL.")
    @click.option("--event-type", required=True, help="Name of the event type, as in the store.")
    @wraps(command)
    def opened(store: str, event_type: str, **rest: Any) -> Any:
        from streamscore.models.store import ModelStore

        return command(ModelStore(store, event_type), **rest)

    return opened


def named(store: "ModelStore", version: str) -> str:
    """The version that an alias points to, or the version itself; BundleError when the alias points nowhere."""
    alias = next((alias for alias in ALIASES if alias == version), None)
    if alias is None:
        return version
    found = store.alias(alias)
    if found is None:
        raise BundleError(f"there is no {version}")
    return found


@models.command("list")
@in_store
def models_list(store: "ModelStore") -> None:
    """Every bundle, oldest first, with its quality on its own test part, the verdict of its gates and its aliases, or
    why it cannot be read.
    """
    pointing: dict[str, list[str]] = {}
    for alias in ALIASES:
        try:
            pointing.setdefault(store.alias(alias) or "", []).append(alias)
        except StoreUnreachable:
            raise
        except BundleError as error:
            click.echo(str(error), err=True)
    bundles = store.bundles()
    if not bundles:
        click.echo("no bundles yet", err=True)
    for version, found in bundles.items():
        if isinstance(found, BundleError):
            figures = f"unreadable: {str(found).removeprefix(f'{version}: ')}"
        else:
            test = found.metrics.get("test", {})
            told = [f"{name} {'none' if value is None else f'{value:.4f}'}" for name, value in test.items()]
            shadowed = _shadowed(store, version)
            verdicts = [_judgement(found).get("verdict"), shadowed and f"in shadow {shadowed['verdict']}"]
            figures = "  ".join([*told, *filter(None, verdicts)])
        click.echo(f"{version}  {figures}  {' '.join(pointing.get(version, []))}".rstrip())


@models.command("show")
@click.argument("version")
@in_store
def models_show(store: "ModelStore", version: str) -> None:
    """A bundle's card, after its digests were verified. VERSION may be an alias."""
    version = named(store, version)
    files = store.read(version).files
    click.echo(files["card.md"].decode() if "card.md" in files else store.manifest(version).model_dump_json(indent=2))
    if shadowed := _shadowed(store, version):
        became = "promoted" if shadowed["promoted"] else "not promoted"
        click.echo(f"In shadow beside {shadowed['champion']}, compared {shadowed['compared_at']}: {became}.")
        for reason in shadowed["reasons"]:
            click.echo(f"- {reason}")


@models.command("promote")
@click.argument("version")
@in_store
def models_promote(store: "ModelStore", version: str) -> None:
    """Make a bundle the champion, after its digests were verified; workers take it within seconds."""
    store.promote(version)
    click.echo(f"{version} is the champion")
    judgement = _judgement(store.manifest(version))
    if judgement.get("verdict") == "reject":
        click.echo(f"its gates had rejected it: {'; '.join(judgement['reasons'])}", err=True)


def _judgement(manifest: "Manifest") -> dict[str, Any]:
    """What the gates said of a bundle, empty for one that nobody judged."""
    return dict(manifest.metrics.get("judgement", {}))


def _shadowed(store: "ModelStore", version: str) -> dict[str, Any]:
    """How a bundle did in shadow beside a champion when last compared, empty for one that never was."""
    try:
        return dict(json.loads(store.noted(version) or "{}"))
    except ValueError:  # a damaged note says nothing of the bundle
        return {}


@models.command("rollback")
@in_store
def models_rollback(store: "ModelStore") -> None:
    """Make the previous champion the champion again."""
    click.echo(f"{store.rollback()} is the champion again")
    click.echo(f"{store.alias('previous')} is the previous one now: a second rollback would bring it back", err=True)
