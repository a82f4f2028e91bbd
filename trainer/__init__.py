"""Train the models that StreamScore's workers score with: the public names of the trainer.

trained = trainer.train("archive", "transaction", "models")
trained.verdict
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.promotion.gates import Gate, Verdict
    from trainer.settings import TrainingSettings
    from trainer.training import Trained, train

__all__ = ["Gate", "Trained", "TrainingSettings", "Verdict", "train"]

# Each public name, and the module that has it: Keras takes seconds to load, and is loaded when it is needed.
_LAZY = {
    "Gate": "promotion.gates",
    "Trained": "training",
    "TrainingSettings": "settings",
    "Verdict": "promotion.gates",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    """A public name on first use (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
