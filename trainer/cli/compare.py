"""The command `trainer compare`."""

from datetime import UTC, datetime

import click

from trainer.cli.options import event_type_option, parsed, say, store_option


@click.command()
@click.option("--archive", required=True, help="URL of an archive that holds what challengers said.")
@event_type_option
@store_option
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="A setting, e.g. gates.margin=0.01.")
def compare(archive: str, event_type: str, store: str, values: tuple[str, ...]) -> None:
    """Compare the challenger in shadow with the champion on mature answers, and promote it when it is no worse."""
    from streamscore.models.store import ModelStore
    from streamscore.registry import find_event_type

    chosen, settings = find_event_type(event_type), parsed(values)
    from trainer.promotion.shadow_comparison import compared, settle

    models, now = ModelStore(store, chosen.name), datetime.now(UTC)
    with models.alone(now):
        found = compared(archive, chosen, models, settings)
        promoted = found is not None and settle(models, found, now)
    if found is None:
        say(f"there is no challenger of {chosen.name} beside a champion")
    else:
        say(f"{found.challenger} beside {found.champion}: {found.summary(promoted)}")
