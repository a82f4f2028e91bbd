"""The documentation says what the code does, and its examples run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streamscore.errors import StreamScoreError
from tests.support.paths import ROOT
from tests.support.running import environment
from tools.documents import PAGES as GENERATED
from tools.documents import filled

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_tables_are_those_of_the_code(page: Path) -> None:
    """The tables of settings and metrics are what `python -m tools.documents` writes."""
    text = (ROOT / page).read_text()
    assert text == filled(text), "run `python -m tools.documents`"


def test_exit_codes_are_those_of_the_errors() -> None:
    """Every exit code that an error ends with stands in the table."""
    codes = {error.exit_code for error in StreamScoreError.__subclasses__() if error.exit_code != 1}
    documented = set(
        map(int, re.findall(r"^\| (\d+) \|", (ROOT / "docs/reference/commands.md").read_text(), re.MULTILINE))
    )
    assert codes <= documented


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file of the project."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_files_named_in_architecture_exist() -> None:
    """Every file that ARCHITECTURE.md names is there, and every file of the core is named."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    files = {
        path.name
        for package in ("streamscore", "streamscore/core", "trainer")
        for path in (ROOT / package).rglob("*.py")
    }
    named = set(re.findall(r"`(\w+\.py)`", text))
    assert named <= files
    assert {path.name for path in (ROOT / "streamscore/core").rglob("*.py")} - {"__init__.py"} <= named


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


def _run(lines: str, folder: Path) -> None:
    """Run the lines of a shell block with this environment's commands."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["sh", "-e", "-c", lines]
    done = subprocess.run(
        command, cwd=folder, env=environment() | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
