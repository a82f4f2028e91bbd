"""The command `trainer backtest`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from streamscore.errors import SettingsError
from trainer.cli.options import parsed, say

if TYPE_CHECKING:
    from trainer.backtest.backtest import Judged, Table

# The published columns, by which results can be compared with published ones, and a richer history of our own.
HANDBOOK_TYPES = ("examples.handbook:PUBLISHED", "examples.handbook_history:TRANSACTION")
# A table without time has no order that could matter.
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class Asked(NamedTuple):
    """The command's options."""

    protocol: str
    events: Path
    event_type: tuple[str, ...]
    first_training_day: tuple[datetime, ...]
    folds: int
    out: Path
    values: tuple[str, ...]


@click.command()
@click.option("--protocol", type=click.Choice(["handbook", "kfold"]), required=True, help="How rows are set apart.")
@click.option("--events", type=click.Path(path_type=Path), required=True, help="Labelled events: parquet, CSV, NDJSON.")
@click.option("--event-type", multiple=True, help="module:NAME; repeatable. The Handbook's two examples if unset.")
@click.option(
    "--first-training-day", multiple=True, type=click.DateTime(["%Y-%m-%d"]), help="handbook: a fold each; repeatable."
)
@click.option("--folds", type=click.IntRange(2, 100), default=5, show_default=True, help="kfold: how many.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="build", show_default=True, help="Folder for figures and scores."
)
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="A setting of the network, e.g. members=1.")
def backtest(
    protocol: str,
    events: Path,
    event_type: tuple[str, ...],
    first_training_day: tuple[datetime, ...],
    folds: int,
    out: Path,
    values: tuple[str, ...],
) -> None:
    """Compare the network with tuned gradient boosting and others on rows that none of them saw.

    Writes backtest.json and backtest-scores.parquet; of a second event type, backtest-NAME.json and so on.
    """
    asked = Asked(protocol, events, event_type, first_training_day, folds, out, values)
    if asked.protocol == "handbook" and not asked.first_training_day:
        raise SettingsError("the handbook protocol needs --first-training-day")
    if asked.protocol == "kfold" and not asked.event_type:
        raise SettingsError("the kfold protocol needs --event-type")
    # This takes seconds to import: what was typed is looked at first.
    from streamscore.registry import find_event_type
    from trainer.backtest.backtest import tables

    kinds = [find_event_type(name) for name in asked.event_type or HANDBOOK_TYPES]
    without_time = NO_TIME if asked.protocol == "kfold" else None
    for number, table in enumerate(tables(asked.events, kinds, without_time, say)):
        _one(asked, table, "backtest" if not number else f"backtest-{table.event_type.name}")


def _one(asked: Asked, table: "Table", name: str) -> None:
    from trainer.backtest import results

    judged, metric = _judged(asked, table)
    ahead = results.leads(table, judged, metric)
    results.write(table, judged, ahead, asked.out / name)
    report = [*results.lines(table, judged, metric), "", *results.in_words(table, ahead, metric), ""]
    click.echo("\n".join(report))


def _judged(asked: Asked, table: "Table") -> tuple[Sequence["Judged"], str]:
    """What was found, and the figure that the protocol is about."""
    from trainer.backtest.backtest import handbook, k_fold
    from trainer.backtest.models import HANDBOOK_SETTINGS, SMALL_SETTINGS

    if asked.protocol == "handbook":
        days = [day.date() for day in dict.fromkeys(asked.first_training_day)]
        return handbook(table, days, parsed(asked.values, HANDBOOK_SETTINGS), say), "average_precision"
    return k_fold(table, asked.folds, parsed(asked.values, SMALL_SETTINGS), say), "auc"
