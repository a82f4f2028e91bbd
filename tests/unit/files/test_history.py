"""The public history: what it knows is what the worker and `streamscore features` know."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from examples.handbook import TRANSACTION
from streamscore.core.events.transaction import TRANSACTION as PAYMENTS
from streamscore.files.as_of import Reader, Source
from streamscore.files.features import write_features
from streamscore.files.history import History
from streamscore.files.score import as_of, score_batches
from streamscore.models.model import Model
from streamscore.testing import events_of
from tests.support.samples import StubScorer, bundle

EVENTS = pd.DataFrame(events_of(TRANSACTION, 400, 3)).sample(frac=1, random_state=0)
LABELS = pd.DataFrame(
    {
        "event_id": EVENTS.transaction_id,
        **{name: EVENTS[name] for name in (*TRANSACTION.entities, "occurred_at")},
        "label": EVENTS.index % 3 == 0,
        "labelled_at": pd.to_datetime(EVENTS.occurred_at) + timedelta(days=2),
    }
)


def features_of_files(folder: Path) -> pd.DataFrame:
    """What `streamscore features` writes of the same events and labels, by event id."""
    EVENTS.to_parquet(folder / "events.parquet")
    LABELS.to_parquet(folder / "labels.parquet")
    source = Source(folder / "events.parquet", folder / "labels.parquet")
    write_features(TRANSACTION, source, folder / "out.parquet", lambda _: None)
    return pq.read_table(folder / "out.parquet").to_pandas().set_index("event_id")


def test_features_are_those_of_the_command(tmp_path: Path) -> None:
    """Events and labels folded in any order give the features of `streamscore features`, to the bit."""
    history = History(TRANSACTION)
    assert history.fold_labels(LABELS) == 400
    assert history.fold(EVENTS) == 400
    found = history.features(EVENTS)
    expected = features_of_files(tmp_path).loc[EVENTS.transaction_id]
    assert found.index.equals(EVENTS.index)
    assert np.array_equal(found.to_numpy(), expected.to_numpy(), equal_nan=True)
    assert (found.to_numpy()[:, -1] > 0).any()


def test_an_event_counts_once() -> None:
    """An event that is folded again is not new, and changes no feature."""
    history = History(TRANSACTION)
    history.fold(EVENTS)
    before = history.features(EVENTS)
    assert history.fold(EVENTS[:10]) == 0
    assert history.fold_labels(LABELS[:5]) == 5
    assert history.fold_labels(LABELS[:5]) == 0
    once = History(TRANSACTION)
    once.fold(EVENTS)
    pd.testing.assert_frame_equal(once.features(EVENTS), before)


def test_a_row_that_is_no_event_is_counted_and_harms_no_other() -> None:
    """What is no event is counted as refused, is NaN among features, and leaves the others as they are."""
    rows = [*EVENTS.to_dict("records")[:3], {"transaction_id": 1}]
    history = History(TRANSACTION)
    assert history.fold(rows) == 3
    assert history.refused == 1
    assert history.fold_labels([{"event_id": 1}]) == 0
    assert history.refused == 2
    features = history.features(rows)
    assert features.iloc[3].isna().all()
    pd.testing.assert_frame_equal(features[:3], history.features(rows[:3]))


def test_a_slack_bounds_what_is_kept() -> None:
    """With a slack, events beyond every window are dropped; without one all are kept."""
    late = events_of(TRANSACTION, 50, 9)
    for event in late:
        event["occurred_at"] = event["occurred_at"].replace("2025", "2026")
    bounded, whole = History(TRANSACTION, slack=timedelta(days=1)), History(TRANSACTION)
    for history in (bounded, whole):
        history.fold(EVENTS)
        for _ in range(20):
            history.fold([{**event, "transaction_id": event["transaction_id"] + 1000} for event in late])
    assert whole.entities.events > bounded.entities.events


def test_no_more_entities_are_kept_than_allowed() -> None:
    """Events of entities beyond the limit of a key are not remembered."""
    history = History(TRANSACTION, max_entities=5)
    history.fold(EVENTS)
    assert max(history.entities.entities.values()) == 5


def test_a_type_without_history_needs_none() -> None:
    """Of an event type that declares no history every event is new, and features are those of the event alone."""
    events = events_of(PAYMENTS, 5, 0)
    history = History(PAYMENTS)
    assert history.fold(events) == 5
    assert history.features(events).shape == (5, len(PAYMENTS.features.names))


MODEL = Model(bundle(TRANSACTION, StubScorer(lambda matrix: 1 / (1 + np.nansum(np.log1p(np.abs(matrix)), axis=1)))))


def scores_of_file(folder: Path, labels: Path | None) -> pd.DataFrame:
    """What `streamscore score` writes of the same events, in the frame's order."""
    EVENTS.to_parquet(folder / "events.parquet")
    LABELS.to_parquet(folder / "labels.parquet")
    reader = Reader(TRANSACTION, Source(folder / "events.parquet", labels, labelled=False), lambda _: None)
    model = MODEL._bundle
    score_batches(model, as_of(model, reader), folder / "out.parquet", datetime.now(UTC))
    return pq.read_table(folder / "out.parquet").to_pandas().sort_values("row")


def test_scores_without_a_history_know_the_events_given(tmp_path: Path) -> None:
    """Without a history events are scored as of their own time among themselves, as `streamscore score` does."""
    expected = scores_of_file(tmp_path, None)
    assert MODEL.score(EVENTS).risk.tolist() == expected.risk.tolist()


def test_scores_with_a_history_know_its_events_and_labels(tmp_path: Path) -> None:
    """With a history of the events and their labels scores are those of `streamscore score` with a file of labels."""
    history = History(TRANSACTION)
    history.fold(EVENTS)
    history.fold_labels(LABELS)
    expected = scores_of_file(tmp_path, tmp_path / "labels.parquet")
    assert MODEL.score(EVENTS, history=history).risk.tolist() == expected.risk.tolist()
    assert MODEL.score(EVENTS).risk.tolist() != expected.risk.tolist()
    events = history.entities.events
    MODEL.score(events_of(TRANSACTION, 10, 8), history=history)
    assert history.entities.events == events  # asking changes nothing


def test_a_history_of_other_events_is_refused() -> None:
    """A model takes a history of its own event type only."""
    with pytest.raises(ValueError, match="history of transaction events for a model of handbook"):
        MODEL.score(EVENTS, history=History(PAYMENTS))
