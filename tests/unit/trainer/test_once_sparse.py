"""A training of events that lack things: an entity here and there, a field that nobody sends yet; options together."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import Meta, Struct

from streamscore.archive.importing import import_file
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import Feature, FeatureSet, as_is
from streamscore.errors import DataError
from streamscore.models.load import load
from streamscore.models.store import ModelStore
from tests.support.trained import QUICK, SILENT, TRAINED_AT
from trainer.run import Job, Source, train_once

ROWS = 1500


class Claim(Struct, frozen=True, gc=False):
    """Made by somebody, whom not every source names; `age` is a new field."""

    event_id: str
    occurred_at: Annotated[datetime, Meta(tz=True)]
    amount: float
    who: str | None = None
    age: float | None = None


CLAIM = EventType(
    name="claim",
    struct=Claim,
    entities=("who",),
    features=FeatureSet((Feature("amount", ("amount",), as_is, "amount"), Feature("age", ("age",), as_is, "age"))),
    label="bad",
)


def archive(folder: Path, last: str = "2026-03-01T00:00:00Z") -> str:
    """Claims of ten weeks, one in seven of nobody, of whose last rows alone the age is known."""
    random = np.random.default_rng(0)
    start, end = (datetime.fromisoformat(at) for at in ("2026-01-01T00:00:00Z", last))
    amount = random.lognormal(0, 1, ROWS)
    events = pa.table(
        {
            "event_id": [f"c-{row}" for row in range(ROWS)],
            "occurred_at": [start + timedelta(hours=row) for row in range(ROWS - 1)] + [end],
            "amount": amount,
            "who": [None if row % 7 == 0 else f"w{row % 90}" for row in range(ROWS)],
            "age": [None if row < ROWS - 50 else 30.0 for row in range(ROWS)],
            "bad": amount + random.normal(0, 0.5, ROWS) > 3,
        }
    )
    pq.write_table(events, folder / "claims.parquet")
    found = import_file(folder / "claims.parquet", folder / "archive", CLAIM, timedelta(0), None)
    assert found.events + found.refused == ROWS
    return str(folder / "archive")


def test_no_value_at_all_is_told(tmp_path: Path) -> None:
    """Where no feature has a value in the training part there is nothing to learn from."""
    ages = replace(CLAIM, features=CLAIM.features.select(["age"]))
    with pytest.raises(DataError, match="no feature has a value in any event of the training part"):
        train_once(
            Source(archive(tmp_path)), Job(ages, ModelStore(str(tmp_path), CLAIM.name), QUICK, TRAINED_AT), SILENT
        )


def test_what_is_missing_ends_no_run(tmp_path: Path) -> None:
    """Nobody's claims are judged with the others, and baselines do without a feature that has no value yet."""
    store = ModelStore(str(tmp_path), CLAIM.name)
    manifest = train_once(Source(archive(tmp_path)), Job(CLAIM, store, QUICK, TRAINED_AT), SILENT)
    assert manifest.metrics["test"]["auc"] > 0.9
    assert manifest.metrics["baselines"]["gradient boosting, untuned"]["average_precision"] > 0.5


@pytest.mark.parametrize("student", [None, "dense"])
@pytest.mark.parametrize("loss", [{"focal_gamma": 1.0}, {"positive_weight": "balanced"}])
def test_a_loss_of_ours_is_in_no_file(tmp_path: Path, loss: dict[str, object], student: str | None) -> None:
    """Of one network and of a student too, the bundle is written and reads back."""
    settings = QUICK.model_copy(update={**loss, "student": student, "members": 1, "epochs": 1})
    store = ModelStore(str(tmp_path), CLAIM.name)
    version = train_once(Source(archive(tmp_path)), Job(CLAIM, store, settings, TRAINED_AT), SILENT).version
    assert load(store, version, CLAIM, "auto").manifest.version == version


def test_a_row_ahead_of_the_clock_is_refused(tmp_path: Path) -> None:
    """It would say that all labels until then are known."""
    archive(tmp_path, last="2099-01-01T00:00:00Z")
    assert '"in_future"' in (tmp_path / "archive" / "refused.ndjson").read_text()
    assert pq.read_table(tmp_path / "archive" / "events").num_rows == ROWS - 1
