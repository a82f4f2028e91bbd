"""Fixtures that folders of tests share. Keras is loaded by the tests that use one, not by all."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from streamscore.core.scoring.bundle import Bundle


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a store of both trained models, this test's own."""
    from tests.support.trained import trained_store  # noqa: PLC0415

    trained_store(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def quick_warming() -> Iterator[None]:
    """Warming compiles one shape instead of five."""
    from tests.support.trained import one_shape  # noqa: PLC0415

    with one_shape():
        yield


@pytest.fixture(scope="session")
def champion_of() -> Callable[[str], "Bundle"]:
    """The session's loaded model of an event type, by name."""
    from tests.support.trained import champion  # noqa: PLC0415

    return champion
