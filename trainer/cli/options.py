"""What the trainer's commands have in common: settings from what was typed, and where progress goes."""

from typing import TYPE_CHECKING, Any

import click

from streamscore.cli.options import time_in_utc
from streamscore.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from trainer.settings import TrainingSettings


archive_option = click.option(
    "--archive", required=True, help="URL of an archive, or a folder with events/ and labels/."
)
event_type_option = click.option(
    "--event-type", required=True, help="transaction, application, or module:NAME of your own."
)
store_option = click.option(
    "--store", default="models", show_default=True, help="Folder or fsspec URL of the model store."
)
as_of_option = click.option(
    "--as-of", callback=time_in_utc, metavar="TIME", help="Learn from what the archive held then; UTC without a zone."
)


def parsed(values: tuple[str, ...], otherwise: "TrainingSettings | None" = None) -> "TrainingSettings":
    """Training settings from key=value pairs and, for the rest, others; SettingsError names what is wrong."""
    from pydantic import ValidationError

    from trainer.settings import TrainingSettings

    given: dict[str, Any] = {}
    for typed in values:
        key, _, value = typed.partition("=")
        section, _, name = key.rpartition(".")
        into = given.setdefault(section, {}) if section else given
        if not isinstance(into, dict):
            raise SettingsError(f"--set {section}={into}: {section} has settings of its own, such as {key}")
        into[name] = value
    rest = otherwise.model_dump(exclude_unset=True) if otherwise else {}
    try:
        return TrainingSettings.model_validate(rest | given)
    except ValidationError as error:
        first = error.errors()[0]
        where = list(map(str, first["loc"]))
        raise SettingsError(f"--set {'.'.join(where)}: {_wrong(TrainingSettings, where, first)}") from None


def _wrong(settings: Any, where: list[str], error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return _unknown(settings, where)
    if error["type"] == "model_type":
        section = where[-1]
        there = ", ".join(f"{section}.{name}" for name in settings.model_fields[section].annotation.model_fields)
        return f"{section} has settings of its own: {there}"
    return str(error["msg"]).removeprefix("Value error, ")


def _unknown(settings: Any, where: list[str]) -> str:
    """That there is no such setting, and which was meant, or which there are beside it."""
    for name in where[:-1]:
        settings = settings.model_fields[name].annotation
    there = settings.model_fields
    meant = did_you_mean(where[-1], there, where[:-1]) or f"there are {', '.join(there)}"
    return f"there is no such setting; {meant}"


def say(sentence: str) -> None:
    """Progress goes to standard error, so that standard output stays free."""
    click.echo(sentence, err=True)
