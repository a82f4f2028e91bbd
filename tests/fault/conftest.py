"""What the fault tests share: a store of small models."""

from tests.integration.conftest import store

__all__ = ["store"]
