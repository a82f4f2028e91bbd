"""The documentation says what the code does, and its examples run."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from streamscore.core.events.decode import Reason
from streamscore.errors import StreamScoreError
from tests.support import forked
from tests.support.paths import ROOT
from tests.support.running import environment
from tools.document_commands import EXAMPLES, PROGRAMS, commands
from tools.documents import PAGES as GENERATED
from tools.documents import filled
from tools.prose import MOST_WORDS, long_sentences

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# In this order: the later ones use the model that the first one trains.
RUN = ("docs/start.md", "README.md", "docs/features.md", "docs/embed.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# A block of shell or Python, with the mark that may stand on the line before it.
EXAMPLE = re.compile(r"^(<!-- not run: [^\n]+ -->\n)?```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)
UNREAD = {"python.md"}  # its sentences are those of docstrings
# Their examples show changes of the code, and no program.
NO_PROGRAMS = {"CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"}


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_generated_parts_are_those_of_the_code(page: Path) -> None:
    """The reference is what `python -m tools.documents` writes."""
    text = (ROOT / page).read_text()
    assert text == filled(text), "run `python -m tools.documents`"


def test_exit_codes_are_those_of_the_errors() -> None:
    """The table of exit codes has every code that an error ends with."""
    codes = {error.exit_code for error in StreamScoreError.__subclasses__() if error.exit_code != 1}
    text = (ROOT / "docs/reference/commands.md").read_text()
    assert codes <= set(map(int, re.findall(r"^\| (\d+) \|", text, re.MULTILINE)))


def test_reasons_of_dead_letters_are_those_of_the_decoder() -> None:
    """The table of reasons has every reason of a dead letter."""
    text = (ROOT / "docs/reference/records.md").read_text()
    assert set(get_args(Reason)) <= set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file of the project."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in UNREAD], ids=lambda page: page.name)
def test_sentences_are_short(page: Path) -> None:
    """No sentence of a page is longer than a reader takes in at once."""
    found = [sentence for _, sentence in long_sentences(page.read_text())]
    assert not found, f"more than {MOST_WORDS} words"


def test_files_named_in_architecture_exist() -> None:
    """Every file that ARCHITECTURE.md names is there, and every file of the core is named."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    files = {path.name for package in ("streamscore", "trainer") for path in (ROOT / package).rglob("*.py")}
    named = set(re.findall(r"`(\w+\.py)`", text))
    assert named <= files
    paths = re.findall(r"`((?:\w+/)+\w*(?:\.py)?)`", text)
    roots = (ROOT, ROOT / "streamscore", ROOT / "trainer")
    assert len(paths) > 20
    assert [path for path in paths if not any((root / path).exists() for root in roots)] == []
    assert {path.name for path in (ROOT / "streamscore/core").rglob("*.py")} - {"__init__.py"} <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_examples_parse(page: Path) -> None:
    """Every command of ours in a page's examples has arguments and options that the command takes."""
    for _, language, content in EXAMPLE.findall(page.read_text()):
        for line in content.replace("\\\n", " ").splitlines() if language == "sh" else ():
            if line.startswith(("streamscore ", "trainer ")):
                _parse(line)


def test_each_command_has_one_example() -> None:
    """The reference has an example of each command, and none of a command that is not there."""
    names = [path for program in PROGRAMS for path, _ in commands(program, PROGRAMS[program])]
    assert sorted(next(name for name in names if line.startswith(f"{name} ")) for line in EXAMPLES) == sorted(names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_run_or_say_why_not(page: Path) -> None:
    """An example is run by a test, or a mark before it says why it cannot be."""
    name = str(page.relative_to(ROOT))
    if name in {*RUN, *NO_PROGRAMS, "docs/own-events.md"} or page.parent.name == "reference":
        return
    assert [content for mark, _, content in EXAMPLE.findall(page.read_text()) if not mark] == []


@pytest.mark.slow
@pytest.mark.usefixtures("quick_warming")
def test_examples_of_the_first_pages_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shell and Python of README, start.md, features.md and embed.md run as they are, in the order of each page."""
    monkeypatch.chdir(tmp_path)
    for page in RUN:
        names: dict[str, Any] = {"__name__": "example"}
        for mark, language, content in EXAMPLE.findall((ROOT / page).read_text()):
            if mark:
                continue
            if language == "sh":
                for line in content.splitlines():
                    context = _parse(line)  # in this process: another one would load Keras for seconds
                    context.command.invoke(context)
            else:
                exec(compile(content, page, "exec"), names)  # noqa: S102  the page is ours


@pytest.mark.slow
def test_own_events_page_runs_as_it_stands(tmp_path: Path) -> None:
    """Each block of own-events.md is written to the file it names, or run, in the order of the page."""
    for language, content in BLOCK.findall((ROOT / "docs/own-events.md").read_text()):
        if language == "sh":
            _run(content, tmp_path)
        else:
            name = re.match(r"# (\S+)\n", content)
            assert name, "a block must begin with the name of its file"
            (tmp_path / name[1]).write_text(content)
    scored = (tmp_path / "scored.csv").read_text().splitlines()
    assert len(scored) == 4001


def _parse(line: str) -> click.Context:
    """A command line parsed with the options of its command. A usage error of click names what is wrong."""
    program, *words = shlex.split(line, comments=True)
    command: click.Command = PROGRAMS[program]
    name = program
    while isinstance(command, click.Group):
        name, *words = words
        command = command.commands[name]
    return command.make_context(name, words)


def _run(lines: str, folder: Path) -> None:
    """Run the lines of a shell block with this environment's commands."""
    forked.write_commands(commands := folder / "commands")
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", lines],
        cwd=folder,
        env=environment() | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
