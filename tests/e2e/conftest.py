"""The fixtures that these tests share with others."""

from tests.support.fixtures import champion_of, models, quick_warming

__all__ = ["champion_of", "models", "quick_warming"]
