"""Where the project's files are, however deep the test that asks."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
