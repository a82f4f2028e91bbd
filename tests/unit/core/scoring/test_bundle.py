"""The model as a value: scalers and manifests that do not fit are refused, golden rows are held to."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.feature import Feature, FeatureSet
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import RISK_TOLERANCE, Golden, Manifest, disagreement, golden_matrix
from streamscore.core.scoring.scaler import CategoryScale, NumericScale, Scaler, scaled_width
from tests.support.samples import StubScorer, application, bundle, by_amount, payment

PLAIN = NumericScale(feature="a", center=1, scale=2, log_unit=2, log_mean=0, log_scale=1, missing=False)
GAPPY = PLAIN.model_copy(update={"feature": "b", "missing": True})
CODES = CategoryScale(feature="c", categories=4)


def test_widths() -> None:
    """A number takes two columns, three where it can be missing; a category one per code."""
    assert [scaled_width(column) for column in (PLAIN, GAPPY, CODES)] == [2, 3, 4]
    scaler = Scaler(columns=(PLAIN, GAPPY, CODES), baseline=(0.0,) * 9)
    assert scaler.owners.tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("width", [8, 10])
def test_baseline_must_fit(width: int) -> None:
    """A baseline of another width than the scaled columns is refused."""
    with pytest.raises(ValidationError, match=f"the baseline has {width} columns, the scaler 9"):
        Scaler(columns=(PLAIN, GAPPY, CODES), baseline=(0.0,) * width)


def test_scaler_keeps_its_numbers() -> None:
    """A scaler read back from JSON is the same to the last bit."""
    odd = PLAIN.model_copy(update={"center": 0.1 + 0.2, "scale": 1 / 3})
    scaler = Scaler(columns=(odd, GAPPY, CODES), baseline=tuple(np.linspace(0, 1 / 7, 9).tolist()))
    assert Scaler.model_validate_json(scaler.model_dump_json()) == scaler


def test_unknown_keys_are_refused() -> None:
    """What a bundle says and this version does not know is refused, not skipped."""
    manifest = bundle(TRANSACTION, StubScorer(by_amount)).manifest
    assert Manifest.model_validate(manifest.model_dump()) == manifest
    with pytest.raises(ValidationError, match="surprise"):
        Manifest.model_validate(manifest.model_dump() | {"surprise": 1})
    with pytest.raises(ValidationError, match="format"):
        Manifest.model_validate(manifest.model_dump() | {"format": 2})


EVENTS = [payment(amount=amount) for amount in (10, 600, 999)]
MODEL = bundle(TRANSACTION, StubScorer(by_amount))


def golden(events: list[bytes] = EVENTS) -> Golden:
    matrix = golden_matrix(TRANSACTION, TRANSACTION.features, events)
    return Golden(events, matrix, by_amount(matrix).astype(np.float32))


def test_golden_rows_agree() -> None:
    """A bundle that gives the promised features and risks agrees, also to within the tolerance."""
    promised = golden()
    assert disagreement(MODEL, promised) is None
    near = promised._replace(risks=promised.risks + np.float32(RISK_TOLERANCE / 2))
    assert disagreement(MODEL, near) is None


def test_golden_rows_with_missing_values_agree() -> None:
    """A value that was missing at training and is missing now is no difference."""
    model = bundle(APPLICATION, StubScorer(by_amount))
    events = [application(income=None)]
    matrix = golden_matrix(APPLICATION, APPLICATION.features, events)
    assert np.isnan(matrix).any()
    assert disagreement(model, Golden(events, matrix, by_amount(matrix).astype(np.float32))) is None


def test_other_risks_disagree() -> None:
    """One risk beyond the tolerance is told with its distance."""
    promised = golden()
    promised.risks[1] += 0.25
    assert disagreement(MODEL, promised) == "golden risks differ by 0.25, 2e-05 allowed"


def test_risks_that_are_no_numbers_disagree() -> None:
    """A scorer that gives NaN keeps no promise."""
    model = bundle(TRANSACTION, StubScorer(lambda matrix: np.full(len(matrix), np.nan)))
    assert "golden risks differ" in (disagreement(model, golden()) or "")


def test_changed_features_disagree() -> None:
    """A feature that is computed otherwise than at training is named."""

    def doubled(values: np.ndarray) -> np.ndarray:
        return values * 2

    features = tuple(
        Feature("account_age", ("account_age",), doubled, "") if feature.name == "account_age" else feature
        for feature in TRANSACTION.features.features
    )
    problem = disagreement(replace(MODEL, features=FeatureSet(features)), golden())
    assert problem == "features ['account_age'] no longer give the numbers the model was trained on"


def test_golden_events_that_became_invalid_disagree() -> None:
    """Golden events that the event type now refuses are counted."""
    promised = golden()._replace(events=[EVENTS[0], payment(channel="gone"), b"{"])
    assert disagreement(MODEL, promised) == "2 golden events are no longer valid events"


def test_golden_rows_take_the_live_road() -> None:
    """Golden events may lie in any future: they are judged by their features, not by the clock."""
    matrix = golden_matrix(TRANSACTION, TRANSACTION.features, [payment(occurred_at="2990-01-01T00:00:00Z")])
    assert len(matrix) == 1
