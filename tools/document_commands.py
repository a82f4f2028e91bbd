"""The reference of commands: each command of click's tree with its text, an example and its options."""

import re
from collections.abc import Iterator

import click

from streamscore.cli.main import cli as streamscore_cli
from trainer.cli.main import cli as trainer_cli

PROGRAMS: dict[str, click.Group] = {"streamscore": streamscore_cli, "trainer": trainer_cli}
# One for each command. A test parses them with the command's own options.
EXAMPLES = """
streamscore worker --config streamscore.yaml
streamscore check --config streamscore.yaml
streamscore config show --config streamscore.yaml --set kafka.group=risk
streamscore demo --duration 30 --plain
streamscore topics create --partitions 12 --replication 3 --config streamscore.yaml
streamscore models list --event-type transaction --store models
streamscore models show champion --event-type transaction
streamscore models promote 20260301T080000-1a2b3c --event-type transaction
streamscore models rollback --event-type transaction
streamscore archiver --config streamscore.yaml
streamscore archive compact --config streamscore.yaml
streamscore archive vacuum --hours 168
streamscore archive retain --days 730
streamscore archive erase --entity customer_id=c012497
streamscore drift --archive archive --event-type transaction --since 2026-03-01T00:00:00Z
streamscore simulate --archive simulated --event-type transaction --rows 40000 --days 120
streamscore replay events.csv --event-type transaction --rate 100
streamscore score events.csv scored.csv --event-type transaction
streamscore features events.csv features.parquet --event-type transaction
streamscore import events.csv archive/transaction --event-type transaction
trainer once --archive archive --event-type transaction --set preset=dense
trainer watch --archive archive --event-type transaction --every 7 --set window_days=180
trainer compare --archive archive --event-type transaction
trainer report champion report --event-type transaction
trainer search --archive archive --event-type transaction --trials 20
trainer backtest --protocol kfold --folds 5 --events applications.csv --event-type examples.german:APPLICATION
""".strip().splitlines()


def commands_reference(program: str) -> str:
    """Every command of a program, in the order of its names."""
    return "\n\n".join(_section(path, command) for path, command in commands(program, PROGRAMS[program]))


def commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Each command that does something, with the words that call it."""
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from commands(f"{path} {name}", command.commands[name])
    else:
        yield path, command


def _section(path: str, command: click.Command) -> str:
    """The heading, text, example and options of one command."""
    example = next(line for line in EXAMPLES if line.startswith(f"{path} "))
    arguments = [p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument)]
    options = [option for option in command.params if isinstance(option, click.Option)]
    rows = [f"| `{_names(option)}` | {_default(option)} | {_meaning(option)} |" for option in options]
    return "\n".join(
        [
            f"### `{' '.join([path, *arguments])}`",
            "",
            re.sub(r"\s*\n\s*", " ", (command.help or "").replace("\n\n", "\0")).replace("\0", "\n\n"),
            "",
            "```sh",
            example,
            "```",
            "",
            *(["| option | default | meaning |", "|---|---|---|", *rows] if rows else []),
        ]
    ).rstrip()


def _names(option: click.Option) -> str:
    """An option with the kind of its value."""
    if option.is_flag:
        return option.opts[-1]
    if isinstance(option.type, click.Choice):
        return f"{option.opts[-1]} {','.join(option.type.choices)}"
    return f"{option.opts[-1]} {option.metavar or option.type.name.split()[0].upper()}"


def _default(option: click.Option) -> str:
    if option.required:
        return "required"
    return f"`{option.default}`" if option.show_default else ""


def _meaning(option: click.Option) -> str:
    """The help text, with the range of a number."""
    bounds = option.type
    words = option.help or ""
    if not isinstance(bounds, click.IntRange | click.FloatRange):
        return words
    most = "" if bounds.max is None else f" to {bounds.max:,.0f}"
    return f"{words} From {bounds.min}{most}.".strip()
