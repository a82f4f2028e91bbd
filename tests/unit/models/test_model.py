"""A model that scores rows in memory."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamscore.core.events.decode import Limits
from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import BundleError, DataError
from streamscore.files.read import wire_lines
from streamscore.files.score import score_file
from streamscore.models.model import Model
from streamscore.models.store import ModelStore, load_model
from streamscore.testing import events_of
from tests.support.samples import PAYMENT, StubScorer, bundle, by_amount
from tests.support.trained import champion, simulated

STUB = Model(bundle(TRANSACTION, StubScorer(by_amount, {0: 1.0})))


@pytest.fixture(scope="module")
def model() -> Model:
    """The session's model of transactions."""
    return Model(champion("transaction"))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Simulated transactions, with NaN where a value is missing."""
    frame = pd.DataFrame(simulated("transaction", 500).columns)
    return frame.assign(occurred_at=pd.to_datetime(frame.occurred_at, unit="us"))


def test_a_frame_is_scored(model: Model, frame: pd.DataFrame) -> None:
    """Each row of a frame, missing values among them, has a risk and a decision, under the frame's own index."""
    frame = frame.set_index(np.arange(len(frame)) // 2)  # an index may repeat
    scored = model.score(frame)
    assert frame.device_id.isna().any()
    assert list(scored.columns) == ["risk", "decision", "error"]
    assert scored.index.equals(frame.index)
    assert scored.error.isna().all()
    assert scored.risk.between(0, 1).all()
    assert set(scored.decision) <= set(model.event_type.decisions)


def test_the_numbers_are_those_of_a_scored_file(model: Model, frame: pd.DataFrame, tmp_path: Path) -> None:
    """Risks, decisions and reasons are those of `streamscore score` on the same rows, to the bit; errors too."""
    frame = frame.assign(amount=frame.amount.where(frame.index % 7 > 0, -1.0))
    frame.to_parquet(tmp_path / "events.parquet")
    lines = wire_lines(tmp_path / "events.parquet", TRANSACTION)
    score_file(champion("transaction"), lines, tmp_path / "out.parquet", Limits(), datetime.now(UTC))
    expected = pq.read_table(tmp_path / "out.parquet").to_pylist()
    scored = model.score(frame, reasons=True)
    assert scored.risk.fillna(-1).tolist() == [-1 if row["risk"] is None else row["risk"] for row in expected]
    assert scored.decision.tolist() == [row["decision"] for row in expected]
    assert scored.error.tolist() == [row["error"] for row in expected]
    assert scored.reasons.tolist() == [row["reasons"] and json.loads(row["reasons"]) for row in expected]
    assert scored.error.notna().sum() == 72


def test_every_kind_of_rows_scores_alike(model: Model, frame: pd.DataFrame) -> None:
    """A frame, a table, mappings and a generator of mappings give the same numbers."""
    expected = model.score(frame)
    mappings = frame.to_dict("records")
    for rows in (pa.Table.from_pandas(frame), mappings, (row for row in mappings)):
        pd.testing.assert_frame_equal(model.score(rows), expected, check_index_type=False)


def test_a_bad_row_harms_no_other() -> None:
    """A row that is no event has its error and no risk; its neighbours score as without it."""
    bad: list[Any] = [
        PAYMENT | {"amount": "much"},
        {},
        None,
        PAYMENT | {"amount": object()},
        PAYMENT | {"currency": "x" * 99},
    ]
    rows = [PAYMENT, *bad, PAYMENT]
    scored = STUB.score(rows, reasons=True, features=True)
    assert scored.error.tolist() == [
        None,
        "wrong_type: amount: expected float, got str",
        "missing_field: event_id: a required field is not there",
        "wrong_type: expected object, got array",
        "wrong_type: amount: expected float, got array",
        "too_long: currency: a text longer than declared",
        None,
    ]
    assert scored.risk.isna().tolist() == scored.error.notna().tolist()
    assert scored.risk[0] == scored.risk[6] == STUB.score_one(PAYMENT).risk
    assert scored.reasons[1] is None
    assert scored.features[1] is None


def test_a_missing_column_is_an_error_in_each_row() -> None:
    """Where a frame lacks a required column each row says so; a column that is not declared is ignored."""
    frame = pd.DataFrame([PAYMENT, PAYMENT | {"event_id": "tx-2"}])
    assert STUB.score(frame.assign(colour="red")).error.isna().all()
    errors = STUB.score(frame.drop(columns="amount")).error
    assert errors.tolist() == ["missing_field: amount: a required field is not there"] * 2


def test_a_column_given_twice_is_refused() -> None:
    """A frame with two columns of one declared name is a DataError, which names it."""
    frame = pd.DataFrame([PAYMENT])
    with pytest.raises(DataError, match="2 columns 'amount'"):
        STUB.score(pd.concat([frame, frame[["amount"]]], axis=1))


@pytest.mark.parametrize("events", [PAYMENT, "events.parquet", 7], ids=["a mapping", "a text", "a number"])
def test_what_holds_no_rows_is_refused(events: Any) -> None:
    """One mapping, a path or a number is a TypeError that says what events may be."""
    with pytest.raises(TypeError, match="a DataFrame, a pyarrow Table or an iterable of mappings"):
        STUB.score(events)


@pytest.mark.parametrize("events", [pd.DataFrame(), [], pa.table({})], ids=["frame", "list", "table"])
def test_no_rows_give_no_rows(events: Any) -> None:
    """Of no events the frame is empty and has its columns, and so have features and contributions."""
    scored = STUB.score(events, reasons=True, features=True)
    assert list(scored.columns) == ["risk", "decision", "error", "reasons", "features"]
    assert len(scored) == 0
    assert scored.risk.dtype == np.float64
    assert STUB.explain(events).shape == STUB.features_of(events).shape == (0, len(STUB.features))


def test_one_event_is_scored_with_its_reasons() -> None:
    """`score_one` gives the risk, decision and reasons of an event, or the error of what is none."""
    score = STUB.score_one(PAYMENT | {"amount": 900.0})
    assert score.error is None
    assert score.decision in TRANSACTION.decisions
    refused = STUB.score_one({"event_id": "tx-1"})
    assert (refused.risk, refused.decision, refused.reasons) == (None, None, ())
    assert refused.error == "missing_field: occurred_at: a required field is not there"


def test_features_and_contributions_have_a_column_each(model: Model, frame: pd.DataFrame) -> None:
    """Features are the float32 matrix; contributions add up to the logit, up to one baseline and a small residual."""
    rows = frame.assign(amount=frame.amount.where(frame.index > 0, -1.0))
    features, shares = model.features_of(rows), model.explain(rows)
    assert list(features.columns) == list(shares.columns) == list(model.features)
    assert set(features.dtypes) == {np.dtype(np.float32)}
    assert features.iloc[0].isna().all()
    assert shares.iloc[0].isna().all()
    risk = model.score(rows).risk[1:]
    inside = risk[(risk > 1e-3) & (risk < 1 - 1e-3)]
    baseline = np.log(inside / (1 - inside)) - shares.loc[inside.index].sum(axis=1)
    assert np.ptp(baseline.to_numpy()) < 0.2


def test_features_of_a_score_are_by_name() -> None:
    """With `features` each score has them by name, with None where one is missing."""
    (features,) = STUB.score([PAYMENT], features=True).features
    assert tuple(features) == STUB.features
    assert features["amount"] == 42.5


def test_rows_are_converted_a_chunk_at_a_time() -> None:
    """No more rows are converted at once than the largest batch holds, however many there are."""
    sizes: list[int] = []

    def risks(matrix: np.ndarray) -> np.ndarray:
        sizes.append(len(matrix))
        return np.full(len(matrix), 0.25)

    frame = pd.DataFrame(events_of(TRANSACTION, 100, 0) * 100)
    assert len(Model(bundle(TRANSACTION, StubScorer(risks))).score(frame)) == 10_000
    assert sizes == [4096, 4096, 1808]


@pytest.mark.usefixtures("quick_warming")
def test_a_store_gives_its_models(models: Path) -> None:
    """`load_model` and a store load the champion by default, a version by its name, and refuse what is not there."""
    store = ModelStore(models, "transaction")
    champion_of_store = store.load()
    assert champion_of_store.version == store.alias("champion")
    named = load_model(models, TRANSACTION, champion_of_store.version, device="cpu")
    assert named.event_type is TRANSACTION
    assert named.features == champion_of_store.features
    assert named.thresholds == champion_of_store.thresholds
    assert named.device.startswith("cpu")
    with pytest.raises(BundleError, match="no previous for transaction"):
        load_model(models, "transaction", "previous")
    with pytest.raises(BundleError, match="there is no such bundle"):
        load_model(models, "transaction", "v0")
