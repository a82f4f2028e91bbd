"""Drift told of an archive: what moved is named with how far, what did not is not, and history is folded as ever."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from streamscore.archive.delta import Table
from streamscore.archive.drift import drift
from streamscore.archive.importing import import_file
from streamscore.archive.read import Rows
from streamscore.archive.scores import score_rows
from streamscore.cli.main import cli
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import RISK, Manifest
from streamscore.core.scoring.decision import Score
from streamscore.core.scoring.profile import edges, histogram
from streamscore.errors import BundleError, DataError
from streamscore.files.as_of import Source
from streamscore.files.features import write_features
from streamscore.simulator.streams import Simulated, transactions
from tests.evidence.online import made
from tests.support.samples import NOW, StubScorer, bundle, by_amount, record
from tests.support.trained import ROWS, START, simulated, trained_manifest, trained_store, write_archive
from tests.support.windowed import WINDOWED

DAY = 86_400_000_000  # µs
PER_SECOND = ROWS["transaction"] / (60 * 86_400)
LATER = START + 61 * DAY
DRIFTED = 9


def later(rows: int = 6000) -> Simulated:
    """Two weeks of events after those that the session's model learnt from."""
    return transactions(rows, LATER, PER_SECOND, 11)


def scaled(events: Simulated, name: str, factor: float) -> Simulated:
    return replace(events, columns=events.columns | {name: events.columns[name] * factor})


def asked(archive: Path, models: Path, *options: str) -> Result:
    """What `streamscore drift` says."""
    given = ["drift", "--archive", str(archive), "--event-type", "transaction", "--store", str(models), *options]
    return CliRunner().invoke(cli, given)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    trained_store(tmp_path / "models")
    return tmp_path / "models"


def test_events_like_those_before_did_not_drift(tmp_path: Path, models: Path) -> None:
    """Of the weeks after training nothing is called drift, and the command ends well."""
    done = asked(write_archive(tmp_path / "archive", later()), models)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == "nothing drifted"
    assert "6,000 transaction events from" in done.output


def test_what_moved_is_named_with_where_it_went(tmp_path: Path, models: Path) -> None:
    """Amounts three times as high: their feature stands first, with its index, its threshold and words."""
    done = asked(write_archive(tmp_path / "archive", scaled(later(), "amount", 3)), models)
    assert done.exit_code == DRIFTED
    first = done.output.splitlines()[2]
    assert first.startswith("amount"), done.output
    assert "it is at least" in first
    assert "drifted: amount" in done.output


def test_json_says_the_same(tmp_path: Path, models: Path) -> None:
    """As JSON: names, numbers and words of every feature, and the range."""
    archive = write_archive(tmp_path / "archive", scaled(later(), "amount", 3))
    done = asked(archive, models, "--json", "--since", "2025-03-05T00:00:00Z", "--until", "2025-03-09T00:00:00Z")
    assert done.exit_code == DRIFTED
    found = json.loads(done.output)
    assert (found["since"], found["until"]) == ("2025-03-05T00:00:00+00:00", "2025-03-09T00:00:00+00:00")
    assert 1000 < found["events"] < 2000
    assert found["moved"][0]["name"] == found["drifted"][0] == "amount"
    shares = [each["psi"] / each["threshold"] for each in found["moved"]]
    assert shares == sorted(shares, reverse=True)


def test_what_is_made_of_the_time_alone_is_left_out(tmp_path: Path, models: Path) -> None:
    """Two days hold one weekend or none; that is no drift."""
    done = asked(write_archive(tmp_path / "archive", later(700)), models)
    assert done.exit_code == 0, done.output
    names = {line.split()[0] for line in done.output.splitlines()[2:-1]}
    alone = {f.name for f in TRANSACTION.features.features if f.fields == ("occurred_at",)}
    assert alone
    assert not names & alone


def test_no_event_is_not_no_drift(tmp_path: Path, models: Path) -> None:
    """A range without events is an error that names it, and so is an archive older than the champion."""
    archive = write_archive(tmp_path / "archive", transactions(500, START, PER_SECOND, 7))
    done = asked(archive, models, "--since", "2025-06-01T00:00:00Z")
    assert isinstance(done.exception, DataError)
    assert "holds no transaction event from 2025-06-01T00:00:00Z on" in str(done.exception)
    assert isinstance(asked(archive, models).exception, DataError)


def test_without_a_champion_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    """It says that there is no champion."""
    archive = write_archive(tmp_path / "archive", simulated("transaction", 500))
    done = asked(archive, tmp_path / "empty")
    assert isinstance(done.exception, BundleError)
    assert "no champion of transaction" in str(done.exception)


def test_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    """With how one is written; without a zone it is UTC."""
    assert "a time with a zone" in asked(tmp_path, tmp_path, "--since", "june").output
    assert "no champion" in str(asked(tmp_path, tmp_path, "--since", "2025-06-01").exception)


def test_history_is_that_of_the_events_before(tmp_path: Path) -> None:
    """Of a range in the middle, features are those of the file: what came before is known."""
    pq.write_table(made(6000, 20), tmp_path / "events.parquet")
    import_file(tmp_path / "events.parquet", tmp_path / "archive", WINDOWED, WINDOWED.maturity, None)
    write_features(WINDOWED, Source(tmp_path / "events.parquet"), tmp_path / "features.parquet", lambda _: None)
    times = pq.read_table(tmp_path / "events.parquet", columns=["transaction_id", "occurred_at"]).sort_by("occurred_at")
    begin = times["occurred_at"][4000].as_py().replace(tzinfo=UTC)
    wanted = set(times.slice(4000)["transaction_id"].to_pylist())
    told = pq.read_table(tmp_path / "features.parquet").to_pandas()
    inside = told[told["event_id"].isin(wanted)]
    profiles = {
        name: histogram(values := inside[name].to_numpy(np.float32), edges(values)) for name in WINDOWED.features.names
    }
    model = bundle(WINDOWED, StubScorer(by_amount)).manifest.model_copy(update={"profiles": profiles})
    found = drift(str(tmp_path / "archive"), WINDOWED, model, Rows(since=begin))
    assert found.events == len(inside)
    assert {each.name: each.psi for each in found.moved} == dict.fromkeys([each.name for each in found.moved], 0.0)
    assert len(found.moved) > len(WINDOWED.history)
    # Without what came before, the same range has other numbers.
    alone = tmp_path / "alone"
    pq.write_table(pq.read_table(tmp_path / "events.parquet").filter(_from(tmp_path, begin)), tmp_path / "late.parquet")
    import_file(tmp_path / "late.parquet", alone, WINDOWED, WINDOWED.maturity, None)
    assert any(each.psi > 0 for each in drift(str(alone), WINDOWED, model, Rows(since=begin)).moved)


def _from(folder: Path, begin: datetime) -> np.ndarray:
    at = pq.read_table(folder / "events.parquet")["occurred_at"].to_numpy()
    return at >= np.datetime64(begin.replace(tzinfo=None), "us")


def archived_scores(url: Path, version: str, risks: np.ndarray, offset: int) -> None:
    """Scores of a model, as an archiver writes them."""
    at = datetime.fromtimestamp(LATER / 1e6, UTC) + timedelta(hours=1)
    scores = [
        Score(str(n), "e", "transaction", {}, float(risk), "approve", version, "t", 0, n, at, at)
        for n, risk in enumerate(risks)
    ]
    records = [record(msgspec.json.encode(score), offset + n, topic="scores") for n, score in enumerate(scores)]
    rows = score_rows([TRANSACTION])(records, NOW)["transaction/scores"]
    partition = ("scores", 0)
    Table(str(url / "transaction" / "scores")).append(
        rows, {partition: offset} if offset else {}, {partition: offset + len(risks)}
    )


def test_published_risks_of_the_champion_are_compared(tmp_path: Path) -> None:
    """Risks that are mostly higher than at training are drift; those that another model published are not looked at."""
    model = trained_manifest("transaction")
    assert model.risks is not None
    url = tmp_path / "archive"
    write_archive(url / "transaction", later())
    assert RISK not in {each.name for each in drift(str(url), TRANSACTION, model, Rows()).moved}
    usual = np.repeat([0.0, *model.risks.edges], model.risks.counts[:-1])
    archived_scores(url, model.version, usual, 0)
    archived_scores(url, "another", np.full(500, 0.9), len(usual))
    found = {each.name: each for each in drift(str(url), TRANSACTION, model, Rows()).moved}
    assert not found[RISK].drifted
    archived_scores(url, model.version, np.full(len(usual), 0.9), len(usual) + 500)
    found = {each.name: each for each in drift(str(url), TRANSACTION, model, Rows()).moved}
    assert found[RISK].drifted
    assert "it is at least" in found[RISK].said


def test_a_bundle_that_tells_no_profile(tmp_path: Path) -> None:
    """It cannot be compared with, and the way out is said."""
    model: Manifest = bundle(TRANSACTION, StubScorer(by_amount)).manifest
    with pytest.raises(DataError, match="train a new model"):
        drift(str(tmp_path), TRANSACTION, model, Rows())
