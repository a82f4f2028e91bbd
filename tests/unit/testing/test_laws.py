"""The laws of event types and scorers find what breaks them."""

from typing import Annotated, Any

import msgspec
import numpy as np
import pytest

from streamscore.core.events.feature import Feature, as_is
from streamscore.core.scoring.bundle import Contributions
from streamscore.testing import check_event_type, check_scorer
from tests.support.declared import event_type_of

AMOUNT = Annotated[float, msgspec.Meta(ge=0, le=1000)]


def spoil(values: np.ndarray) -> np.ndarray:
    """A feature function that changes its input."""
    values += 1
    return values


BROKEN = {
    "order": (lambda values: np.arange(len(values), dtype=float), "amount", "change with the order of events"),
    "neighbours": (lambda values: values - values.mean(), "amount", "change with"),
    "input": (spoil, "amount", "changes its input columns"),
    "braces": (as_is, "amount {value", "cannot be written"),
}


@pytest.mark.parametrize("law", BROKEN)
def test_a_broken_feature_is_found(law: str) -> None:
    """A feature that depends on other events, spoils its input or has no writable reason breaks a law by its name."""
    function, reason, message = BROKEN[law]
    with pytest.raises(AssertionError, match=message):
        check_event_type(event_type_of(Feature("odd", ("amount",), function, reason), amount=AMOUNT))


def test_an_event_that_can_be_changed_is_found() -> None:
    """A struct that is not frozen breaks the law that events are."""
    with pytest.raises(AssertionError, match="declare frozen=True"):
        check_event_type(event_type_of(frozen=False, amount=AMOUNT))


def test_a_sound_event_type_passes() -> None:
    """An event type of one number keeps every law."""
    check_event_type(event_type_of(Feature("amount", ("amount",), as_is, "amount"), amount=AMOUNT))


class Scores:
    """A scorer of given functions."""

    device = "none"

    def __init__(self, risk: Any, contribution: float = 0.0) -> None:
        self._risk, self._contribution = risk, contribution

    def risks(self, matrix: np.ndarray) -> np.ndarray:
        return np.asarray(self._risk(matrix), np.float32)

    def contributions(self, matrix: np.ndarray) -> Contributions:
        return Contributions(np.full(matrix.shape, self._contribution), np.zeros(len(matrix)))


MATRIX = np.linspace(0, 1, 60, dtype=np.float32).reshape(30, 2)
WRONG = {
    "range": (Scores(lambda matrix: np.full(len(matrix), 1.5)), "between 0 and 1"),
    "shape": (Scores(lambda matrix: np.zeros((len(matrix), 1))), "one for each row"),
    "batch": (Scores(lambda matrix: np.full(len(matrix), 1 / (1 + len(matrix)))), "in a batch of 1 rows"),
    "order": (Scores(lambda matrix: np.linspace(0.2, 0.3, 60)[: len(matrix)]), "with the order of rows"),
    "missing": (Scores(lambda matrix: matrix[:, 0] * 0.5), "nothing is known"),
    "sum": (Scores(lambda matrix: np.nan_to_num(matrix[:, 0]).clip(0, 1) * 0.5 + 0.2), "contributions miss the logits"),
}


@pytest.mark.parametrize("law", WRONG)
def test_a_broken_scorer_is_found(law: str) -> None:
    """A scorer whose risks are no probabilities, or depend on more than their row, breaks a law by its name."""
    scorer, message = WRONG[law]
    with pytest.raises(AssertionError, match=message):
        check_scorer(scorer, MATRIX)


def test_a_sound_scorer_passes() -> None:
    """A scorer whose rows all have the baseline's risk keeps every law."""
    check_scorer(Scores(lambda matrix: np.full(len(matrix), 0.3)), MATRIX)
