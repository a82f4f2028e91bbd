"""The command `trainer watch`."""

import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import TYPE_CHECKING

import click

from streamscore.cli.options import Between
from trainer.cli.options import archive_option, event_type_option, parsed, say, store_option

if TYPE_CHECKING:
    from streamscore.monitoring.probe import Heartbeat
    from trainer.metrics import TrainerMetrics
    from trainer.watch import Watch


@click.command()
@archive_option
@event_type_option
@store_option
@click.option("--every", type=Between(0.001, 3650), default=7.0, show_default=True, help="Days between two runs.")
@click.option(
    "--drift-hours", type=Between(0, 87_600), default=24.0, show_default=True, help="Hours between looks; 0: none."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Interface of /metrics.")
@click.option("--port", type=click.IntRange(0, 65535), default=9465, show_default=True, help="Port of /metrics.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="A training setting, e.g. window_days=180.")
def watch(
    archive: str,
    event_type: str,
    store: str,
    every: float,
    drift_hours: float,
    host: str,
    port: int,
    values: tuple[str, ...],
) -> None:
    """Retrain until stopped, one run at a time, sooner on drift; promote a model when no gate speaks against it."""
    stop = threading.Event()

    def asked(*_: object) -> None:
        stop.set()
        sys.exit(0)

    # What is imported next does not survive an exception: until it is there, being asked is only noted.
    _on_stop(lambda *_: stop.set())
    from streamscore.models.store import ModelStore
    from streamscore.monitoring.probe import Heartbeat, serve
    from streamscore.registry import find_event_type
    from streamscore.settings.schema import Http
    from trainer.metrics import TrainerMetrics

    chosen, settings, metrics = find_event_type(event_type), parsed(values), TrainerMetrics()
    heartbeat = Heartbeat(patience=float("inf"))
    from trainer.run import check
    from trainer.watch import Watch

    check(chosen, settings)  # else every run would fail by them, which nobody might see
    server = serve(Http(host=host, port=port), metrics.registry, heartbeat)
    say(f"metrics on http://{host}:{server.server_address[1]}")
    _on_stop(asked)  # also in the middle of a run, which leaves nothing
    drift_every = timedelta(hours=drift_hours) or None
    models = ModelStore(store, chosen.name)
    _run(Watch(archive, chosen, models, settings, timedelta(every), drift_every), metrics, heartbeat, stop)


def _run(watched: "Watch", metrics: "TrainerMetrics", heartbeat: "Heartbeat", stop: threading.Event) -> None:
    """Retrain by the system's clock until stopped; the heartbeat turns with every look."""
    from trainer.watch import watch as run

    def stopped(seconds: float) -> bool:
        heartbeat.turn(None)
        return stop.wait(seconds)

    run(watched, metrics, lambda: datetime.now(UTC), stopped)


def _on_stop(handler: Callable[[int, FrameType | None], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)
