"""The commands that bring events in and out of files: simulate, replay, score, features, import."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamscore.cli.options import Between, event_type_option, time_with_zone, with_settings
from streamscore.errors import DataError, SettingsError

if TYPE_CHECKING:
    from streamscore.core.events.event_type import EventType
    from streamscore.settings.schema import Settings

FILE = click.Path(path_type=Path)
CENTURY = 36_525  # in days: beyond it a number is a slip, and soon no date


def occurred_at_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The time of rows in files that have no column for it."""
    return click.option(
        "--occurred-at",
        callback=time_with_zone,
        metavar="TIME",
        help="Time of every row, for a file without that column.",
    )(command)


@click.command()
@click.option("--event-type", type=click.Choice(["transaction", "application"]), required=True)
@click.option(
    "--rows", type=click.IntRange(1, 1_000_000_000), default=200_000, show_default=True, help="Events in the archive."
)
@click.option(
    "--days", type=click.IntRange(1, CENTURY), default=800, show_default=True, help="Days that they span, to now."
)
@click.option("--archive", type=FILE, help="Write events and labels to FOLDER/<event type> instead of to Kafka.")
@click.option("--rate", type=Between(0.1, 1e9), default=100.0, show_default=True, help="Events/s to Kafka.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@with_settings
def simulate(
    settings: "Settings", event_type: str, rows: int, days: int, archive: Path | None, rate: float, seed: int
) -> None:
    """Simulate events with late labels: a past into an archive folder, or the present to Kafka until Ctrl-C."""
    from streamscore.registry import BUILT_IN

    if archive:
        _simulated_past(BUILT_IN[event_type], archive, rows, days, seed)
    else:
        _simulated_present(settings, BUILT_IN[event_type], rate, seed)


def _simulated_past(event_type: "EventType", archive: Path, rows: int, days: int, seed: int) -> None:
    from streamscore.core.events.feature import DAY
    from streamscore.simulator.live import GENERATORS
    from streamscore.simulator.past import write_simulated

    now = int(datetime.now(UTC).timestamp() * 1e6)
    draw, start, rate = GENERATORS[event_type.name], now - days * DAY, rows / (days * 86_400)
    past = draw(rows, start, rate, seed, 0)
    # What chance makes of so many days may end ahead of the clock, and an archive refuses such events.
    while (ahead := int(past.columns["occurred_at"][-1]) - now) > 0:
        start -= ahead
        past = draw(rows, start, rate, seed, 0)
    write_simulated(archive / event_type.name, event_type, past, now, "simulated")
    click.echo(f"{rows:,} events, {int(past.label.sum()):,} positive, in {archive / event_type.name}")


def _simulated_present(settings: "Settings", event_type: "EventType", rate: float, seed: int) -> None:
    import signal
    import threading

    from streamscore.simulator.live import Flow, events, send

    topics = [topic for topic, name in settings.inputs.items() if name == event_type.name]
    if not topics:
        raise SettingsError(f"inputs names no topic of {event_type.name} events")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    click.echo(f"sending {rate:g} events/s to {topics[0]} until Ctrl-C", err=True)
    send(settings.kafka, [events(Flow(event_type, topics[0], rate), seed)], lambda: not stop.is_set(), lambda _: None)


@click.command()
@click.argument("file", type=FILE)
@click.option("--topic", help="Where to; the first input topic of that event type if not given.")
@click.option("--rate", type=float, help="Events a second.")
@click.option("--speed", type=float, help="Seconds of event time a second; as fast as possible with neither.")
@event_type_option
@occurred_at_option
@with_settings
def replay(
    settings: "Settings",
    file: Path,
    topic: str | None,
    rate: float | None,
    speed: float | None,
    event_type: str,
    occurred_at: datetime | None,
) -> None:
    """Send the events of FILE (parquet, CSV, NDJSON) to a topic."""
    from streamscore.files.read import wire_lines
    from streamscore.files.replay import Pace, addressed
    from streamscore.files.replay import replay as send
    from streamscore.registry import find_event_type

    chosen = find_event_type(event_type)
    target = topic or next((name for name, kind in settings.inputs.items() if kind == event_type), None)
    if target is None:
        raise SettingsError(f"inputs names no topic of {event_type}; give --topic")
    try:
        pace = Pace(rate, speed)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    lines = (line for chunk in wire_lines(file, chosen, occurred_at) for line in chunk)
    report = send(settings.kafka, target, addressed(chosen, lines), pace)
    per_second = report.sent / report.seconds if report.seconds else 0
    click.echo(f"{report.sent:,} events sent to {target} in {report.seconds:.1f} s, {per_second:,.0f}/s")


@click.command()
@click.argument("source", metavar="IN", type=FILE)
@click.argument("out", metavar="OUT", type=FILE)
@event_type_option
@click.option("--labels", type=FILE, help="Labels with labelled_at, as a labels topic has them; else none are known.")
@occurred_at_option
@with_settings
def score(
    settings: "Settings",
    source: Path,
    out: Path,
    event_type: str,
    labels: Path | None,
    occurred_at: datetime | None,
) -> None:
    """Score the events of file IN into file OUT, one row a row, as the worker would; no Kafka is needed.

    Rows keep their order, unless the event type has a history: then they come in the order of time.
    """
    from streamscore.core.events.decode import Limits
    from streamscore.files.as_of import Reader, Source
    from streamscore.files.read import suffix_of, wire_lines
    from streamscore.files.score import as_of, score_batches, score_file
    from streamscore.models.load import first_champion
    from streamscore.models.store import ModelStore
    from streamscore.registry import find_event_type

    suffix_of(out)
    if not source.exists():
        raise DataError(f"{source}: no such file")
    _apart(out, source, labels)
    chosen, now = find_event_type(event_type), datetime.now(UTC)
    bundle = first_champion(ModelStore(settings.models.store, chosen.name), chosen, settings.models.device)
    limits = Limits(settings.limits.max_event_bytes, settings.limits.max_future_seconds)
    if chosen.history:
        read = Source(source, labels, occurred_at, labelled=False)
        reader = Reader(chosen, read, lambda told: click.echo(told, err=True), now, limits)
        result = score_batches(bundle, as_of(bundle, reader), out, now)
    else:
        result = score_file(bundle, wire_lines(source, chosen, occurred_at), out, limits, now)
    click.echo(f"{result.read:,} rows: {result.scored:,} scored, {result.alerts:,} alerts, {result.refused:,} refused")


@click.command()
@click.argument("source", metavar="FILE", type=FILE)
@click.argument("out", metavar="OUT", type=FILE)
@event_type_option
@click.option("--labels", type=FILE, help="Labels with labelled_at; else the file's, known when mature.")
@occurred_at_option
def features(source: Path, out: Path, event_type: str, labels: Path | None, occurred_at: datetime | None) -> None:
    """Write the features of the events of FILE, each as of its own time, to OUT, a parquet file."""
    from streamscore.files.as_of import Source
    from streamscore.files.features import write_features
    from streamscore.registry import find_event_type

    _apart(out, source, labels)
    result = write_features(
        find_event_type(event_type), Source(source, labels, occurred_at), out, lambda t: click.echo(t, err=True)
    )
    click.echo(
        f"{result.written:,} events in {out}, {result.repeated:,} of them repeated; "
        f"{result.labels:,} labels; {result.refused:,} rows refused"
    )


def _apart(out: Path, *read: Path | None) -> None:
    if out.resolve() in [path.resolve() for path in read if path]:
        raise DataError(f"{out} would replace a file that is read")


@click.command("import")
@click.argument("file", type=FILE)
@click.argument("archive", type=FILE)
@event_type_option
@click.option("--label-days", type=Between(0, CENTURY), help="Days after which a label was known; the type's maturity.")
@occurred_at_option
def import_(file: Path, archive: Path, event_type: str, label_days: float | None, occurred_at: datetime | None) -> None:
    """Turn FILE of labelled events (parquet, CSV, NDJSON) into an ARCHIVE folder to train on."""
    from streamscore.archive.importing import import_file
    from streamscore.registry import find_event_type

    chosen = find_event_type(event_type)
    delay = chosen.maturity if label_days is None else timedelta(days=label_days)
    result = import_file(file, archive, chosen, delay, occurred_at)
    click.echo(f"{result.events:,} events and {result.labels:,} labels in {archive}; {result.refused:,} rows refused")
