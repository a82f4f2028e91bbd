"""A training as of a time is repeatable; the long form is `make evidence ONLY=as-of`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import asof
from tests.trained import one_shape


@pytest.fixture(autouse=True)
def quick_warming() -> Iterator[None]:
    with one_shape():
        yield


def test_what_came_later_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Late events, corrected labels and a compaction: the same weights as of then, others as of now."""
    settings = asof.SETTINGS.model_copy(update={"preset": "logistic", "epochs": 1})
    monkeypatch.setattr(asof, "SETTINGS", settings)
    assert asof.repeated(tmp_path, 4000, 40) == (True, False)
