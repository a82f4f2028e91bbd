"""The trainer's command line."""

import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamscore.cli.models import in_store, named
from streamscore.cli.options import Between, prepare_process
from streamscore.errors import StreamScoreError
from trainer.cli.backtest import backtest
from trainer.cli.options import as_of_option, parsed, say
from trainer.cli.search import search

if TYPE_CHECKING:
    from trainer.fitting.fit import Epoch


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="streamscore")
def cli() -> None:
    """Train the models that `streamscore worker` scores with."""


@cli.command()
@click.option("--archive", required=True, help="URL of an archive, or a folder with events/ and labels/.")
@click.option("--event-type", required=True, help="transaction, application, or module:NAME of your own.")
@click.option("--store", default="models", show_default=True, help="Folder or fsspec URL of the model store.")
@as_of_option
@click.option("--promote", is_flag=True, help="Make it the champion whatever the gates say.")
@click.option("--report", type=click.Path(path_type=Path), help="Folder for its report: a page, and plots as PNGs.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="A training setting, e.g. preset=dense.")
def once(archive: str, event_type: str, store: str, as_of: datetime | None, promote: bool, **rest: Any) -> None:
    """Train one model, add it to the store, and promote it when no gate speaks against it."""
    from streamscore.models.store import ModelStore
    from streamscore.registry import find_event_type
    from trainer.report.export import exported, place_for

    chosen, settings, folder = find_event_type(event_type), parsed(rest["values"]), rest["report"]
    if folder:
        place_for(folder)
    from streamscore.archive.read import Rows
    from trainer.evaluation.evaluate import doubt
    from trainer.promotion.placement import place

    # These take seconds to import: what was typed is looked at first.
    from trainer.promotion.shadow_comparison import waits
    from trainer.run import Job, Progress, Source, train_once

    models, now = ModelStore(store, chosen.name), datetime.now(UTC)
    source = Source(archive, Rows(as_of=as_of))
    with models.alone(now):
        manifest = train_once(source, Job(chosen, models, settings, now), Progress(say, say_epoch))
        judgement, test = manifest.metrics["judgement"], manifest.metrics["test"]
        taken = not promote and judgement["verdict"] != "reject" and waits(archive, chosen, models, settings)
        alias, why = place(models, manifest, promote, taken)
    say(f"{manifest.version}: {judgement['verdict']}" + (f", it is the {alias} of {chosen.name}" if alias else ""))
    for reason in filter(None, (*judgement["reasons"], why)):
        say(f"  {reason}")
    if taken and not alias:
        say("  the challenger waits for its answers and keeps its place")
    say(f"test: AUC {test['auc']:.4f}, average precision {test['average_precision']:.4f}, ECE {test['ece']:.5f}")
    for name, figures in manifest.metrics["baselines"].items():
        say(f"  beside {name}: AUC {figures['auc']:.4f}, average precision {figures['average_precision']:.4f}")
    if folder:
        say(f"its report is {exported(models.read(manifest.version), folder)[0]}")
    if weakness := doubt(manifest.metrics):
        say(f"think twice before this model decides anything: {weakness}")


@cli.command()
@click.argument("version")
@click.argument("folder", type=click.Path(path_type=Path))
@in_store
def report(store: Any, version: str, folder: Path) -> None:
    """Write a bundle's report to FOLDER: a page, and its plots as PNGs. VERSION may be an alias."""
    from trainer.report.export import exported

    for path in exported(store.read(named(store, version)), folder):
        click.echo(path)


@cli.command()
@click.option("--archive", required=True, help="URL of an archive, or a folder with events/ and labels/.")
@click.option("--event-type", required=True, help="transaction, application, or module:NAME of your own.")
@click.option("--store", default="models", show_default=True, help="Folder or fsspec URL of the model store.")
@click.option("--every", type=Between(0.001, 3650), default=7.0, show_default=True, help="Days between two runs.")
@click.option(
    "--drift-hours", type=Between(0, 87_600), default=24.0, show_default=True, help="Hours between looks; 0: none."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Interface of /metrics.")
@click.option("--port", type=click.IntRange(0, 65535), default=9465, show_default=True, help="Port of /metrics.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="A training setting, e.g. window_days=180.")
def watch(archive: str, event_type: str, store: str, every: float, values: tuple[str, ...], **rest: Any) -> None:
    """Retrain until stopped, one run at a time, sooner on drift; promote a model when no gate speaks against it."""
    stop = threading.Event()

    def asked(*_: Any) -> None:
        stop.set()
        sys.exit(0)

    # What is imported next does not survive an exception: until it is there, being asked is only noted.
    _on_stop(lambda *_: stop.set())
    from streamscore.models.store import ModelStore
    from streamscore.monitoring.probe import Heartbeat, serve
    from streamscore.registry import find_event_type
    from streamscore.settings.schema import Http
    from trainer.metrics import TrainerMetrics

    chosen, settings, metrics, heartbeat = (
        find_event_type(event_type),
        parsed(values),
        TrainerMetrics(),
        Heartbeat(patience=float("inf")),
    )
    from trainer.run import check
    from trainer.watch import Watch
    from trainer.watch import watch as run

    check(chosen, settings)  # else every run would fail by them, which nobody might see
    hours, server = rest.pop("drift_hours"), serve(Http(**rest), metrics.registry, heartbeat)
    say(f"metrics on http://{rest['host']}:{server.server_address[1]}")
    _on_stop(asked)  # also in the middle of a run, which leaves nothing

    def stopped(seconds: float) -> bool:
        heartbeat.turn(None)
        return stop.wait(seconds)

    what = Watch(
        archive, chosen, ModelStore(store, chosen.name), settings, timedelta(every), timedelta(hours=hours) or None
    )
    run(what, metrics, lambda: datetime.now(UTC), stopped)


def _on_stop(handler: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


@cli.command()
@click.option("--archive", required=True, help="URL of an archive that holds what challengers said.")
@click.option("--event-type", required=True, help="transaction, application, or module:NAME of your own.")
@click.option("--store", default="models", show_default=True, help="Folder or fsspec URL of the model store.")
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
        say(f"{found.challenger} beside {found.champion}: {found.said(promoted)}")


def say_epoch(epoch: "Epoch") -> None:
    say(
        f"  epoch {epoch.number}/{epoch.epochs}  loss {epoch.loss:.5f}  "
        f"validation average precision {epoch.average_precision:.4f}  {epoch.seconds_left:.0f} s left"
    )


cli.add_command(backtest)
cli.add_command(search)


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
