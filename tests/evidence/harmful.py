"""A worker whose challenger does harm: `python -m tests.evidence.harmful sleeps|raises worker …`.

It is loaded and verified as it is; only what it does with a batch is replaced.
"""

import sys
import time
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from streamscore.cli.main import main
from streamscore.core.scoring.bundle import Bundle
from streamscore.models.alias_watch import AliasWatch
from streamscore.models.load import load
from streamscore.worker import startup

SLEEP_SECONDS = 1.0


class Sleeps:
    """A scorer that takes a second for any batch."""

    def __init__(self, scorer: Any) -> None:
        self._scorer, self.device = scorer, scorer.device

    def risks(self, matrix: np.ndarray) -> np.ndarray:
        time.sleep(SLEEP_SECONDS)
        risks: np.ndarray = self._scorer.risks(matrix)
        return risks


class Raises(Sleeps):
    """A scorer that can do nothing."""

    def risks(self, matrix: np.ndarray) -> np.ndarray:
        raise RuntimeError(f"no risks for {len(matrix)} events")


KINDS: dict[str, Any] = {"sleeps": Sleeps, "raises": Raises}


def harmful(*arguments: Any) -> Bundle:
    """`load`, and what it gives spoilt."""
    bundle = load(*arguments)
    return replace(bundle, scorer=KINDS[kind](bundle.scorer))


def watch(alias: Any, stores: Any, handlers: Any, in_use: Any = MappingProxyType({})) -> AliasWatch:
    """The watch of an alias, whose challengers do harm."""
    return AliasWatch(alias, stores, handlers, in_use, harmful if alias == "challenger" else load)


if __name__ == "__main__":
    kind = sys.argv.pop(1)
    setattr(startup, "AliasWatch", watch)  # noqa: B010  what the worker starts, spoilt
    main()
