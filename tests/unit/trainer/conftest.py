"""What makes trainings in these tests quick, where a test does not ask for it itself."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.support.trained import one_shape
from trainer import run


@pytest.fixture(autouse=True)
def quick_training(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Warming compiles one shape instead of five, and a report has no plots, which take as long as a small fit."""
    monkeypatch.setattr(run, "plots", SimpleNamespace(drawn=lambda *_: []))
    with one_shape():
        yield
