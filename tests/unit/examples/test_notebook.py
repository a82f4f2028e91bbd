"""The notebook of `examples/` runs from top to bottom."""

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support import forked
from tests.support.paths import ROOT

NOTEBOOK = ROOT / "examples" / "explore.ipynb"


def test_it_is_stored_without_outputs() -> None:
    """The file holds no output, so no path or name of the machine it last ran on."""
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.slow
def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It simulates an archive, trains a model, and its last cell has the share of each feature in one decision."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    forked.write_commands(commands := tmp_path / "commands")
    monkeypatch.setenv("PATH", os.pathsep.join([str(commands), os.environ["PATH"]]))
    book = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has types for some functions only
    NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    (shown,) = book.cells[-1].outputs
    text = shown["data"]["text/plain"]
    assert "share" in text
    assert "amount" in text
