"""Reports are tested with their plots."""

from collections.abc import Iterator

import pytest

from tests.support.trained import one_shape


@pytest.fixture(autouse=True)
def quick_training() -> Iterator[None]:
    """Warming compiles one shape instead of five."""
    with one_shape():
        yield
