"""`streamscore drift`: whether archived events still lie as they did when the champion was trained."""

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click

from streamscore.cli.options import event_type_option, time_in_utc
from streamscore.errors import BundleError, DataError

if TYPE_CHECKING:
    from streamscore.archive.drift import Drift

# Neither success nor a failure: what was compared is not alike.
DRIFTED = 9
SINCE = "Events from then on, UTC without a zone; if not given, after the last one that the champion was made from."


@click.command("drift")
@click.option("--archive", required=True, help="URL of an archive, or a folder with events/.")
@event_type_option
@click.option("--store", default="models", show_default=True, help="Folder or fsspec URL of the model store.")
@click.option("--since", callback=time_in_utc, metavar="TIME", help=SINCE)
@click.option("--until", callback=time_in_utc, metavar="TIME", help="Events before then.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def drift(
    archive: str, event_type: str, store: str, since: datetime | None, until: datetime | None, as_json: bool
) -> None:
    """Compare archived events and published risks with the champion's training; exit code 9 where they drifted."""
    from streamscore.archive.drift import drift as compare
    from streamscore.archive.read import Rows
    from streamscore.models.store import ModelStore
    from streamscore.registry import find_event_type

    chosen = find_event_type(event_type)
    models = ModelStore(store, chosen.name)
    version = models.alias("champion")
    if version is None:
        raise BundleError(f"there is no champion of {chosen.name} to compare with")
    found = compare(archive, chosen, models.read(version).manifest, Rows(since, until))
    if not found.events:
        raise DataError(f"{archive} holds no {chosen.name} event{_range(found)} that could be compared")
    click.echo(_json(found) if as_json else _table(found))
    sys.exit(DRIFTED if found.drifted else 0)


def _json(found: "Drift") -> str:
    moved = [{**each._asdict(), "drifted": each.drifted} for each in found.moved]
    times = {name: at and at.isoformat() for name, at in (("since", found.since), ("until", found.until))}
    return json.dumps(found._asdict() | times | {"moved": moved, "drifted": [each.name for each in found.drifted]})


def _table(found: "Drift") -> str:
    width = max(len(each.name) for each in found.moved)
    lines = [
        f"{each.name:{width}}  {each.psi:8.4f}  {each.threshold:9.4f}" + (f"  {each.said}" if each.drifted else "")
        for each in found.moved
    ]
    head = f"{found.events:,} {found.event_type} events{_range(found)}, {found.risks:,} risks of {found.version}"
    names = [each.name for each in found.drifted]
    verdict = f"drifted: {', '.join(names)}" if names else "nothing drifted"
    return "\n".join([head, f"{'':{width}}  {'PSI':>8}  {'threshold':>9}", *lines, verdict])


def _range(found: "Drift") -> str:
    since = f" from {found.since:%Y-%m-%dT%H:%M:%SZ} on" if found.since else ""
    return since + (f" before {found.until:%Y-%m-%dT%H:%M:%SZ}" if found.until else "")
