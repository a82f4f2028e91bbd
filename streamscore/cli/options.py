"""What commands have in common: their settings, and the environment of the Keras backend."""

import logging
import math
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from streamscore.settings.schema import Settings


class Between(click.FloatRange):
    """A number between bounds; click itself lets NaN pass, which is neither below nor above."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


event_type_option = click.option("--event-type", required=True, help="A built-in name, or module:NAME of your own.")


def time_with_zone(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """The time that an option gives, `now` among them: the callback of that option."""
    if text is None:
        return None
    if text == "now":
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise click.BadParameter("expected now, or a time with a zone such as 2026-01-31T00:00:00Z")
    return at


def time_in_utc(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """As `time_with_zone`, but without a zone a time, or a day, is UTC."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return time_with_zone(context, option, text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


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
    from streamscore.settings.load import load

    return load(config, os.environ, flags)


def prepare_process() -> None:
    """Logs to standard error, TensorFlow quiet and with equal numbers on every machine, and no idle spinning."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Its oneDNN kernels change the order of sums with the processor they find.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    # OpenMP threads that wait by spinning make a fit four times as long where another process wants the core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    # It warns of compiling several shapes, which is what the scorer means to do.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
