"""What the trainer's commands have in common: settings from what was typed, and where progress goes."""

from typing import TYPE_CHECKING, Any

import click

from streamscore.errors import SettingsError

if TYPE_CHECKING:
    from trainer.settings import TrainingSettings


def parsed(values: tuple[str, ...], otherwise: "TrainingSettings | None" = None) -> "TrainingSettings":
    """Training settings from key=value pairs and, for the rest, others; SettingsError names what is wrong."""
    from pydantic import ValidationError

    from trainer.settings import TrainingSettings

    given: dict[str, Any] = {}
    for key, value in (value.partition("=")[::2] for value in values):
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
        known = ", ".join(TrainingSettings.model_fields)
        raise SettingsError(f"--set {'.'.join(map(str, first['loc']))}: {first['msg']} (settings: {known})") from None


def say(sentence: str) -> None:
    """Progress goes to standard error, so that standard output stays free."""
    click.echo(sentence, err=True)
