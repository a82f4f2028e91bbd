"""The wheel works where there is no checkout."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.slow


def test_the_wheel_works_without_a_checkout(models: Path) -> None:
    """In a new environment the commands answer, and three lines of Python score events; both packages are typed."""
    command = [sys.executable, "-m", "tools.check_wheel", "--no-demo", "--store", str(models)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: streamscore" in done.stdout
    assert "Usage: trainer" in done.stdout
    assert "approve" in done.stdout
