"""A challenger in shadow beside the champion: promoted when it is no worse on answers that matured, and only then."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from streamscore.cli.main import cli as streamscore
from streamscore.core.events.event_type import EventType
from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import ArchiveUnreachable, BundleError
from streamscore.models.bundle_files import GOLDEN, NETWORK, SCALER
from streamscore.models.store import ModelStore
from tests.support.compared import DAY, NOW, ROWS, SETTINGS, WORLD, World, compared_folder, compared_store, write_shadow
from trainer import watch as watching
from trainer.cli.main import cli
from trainer.metrics import TrainerMetrics
from trainer.promotion.shadow_comparison import Comparison, compared, settle
from trainer.settings import GateSettings, TrainingSettings
from trainer.watch import Watch, challenged

__all__ = ["compared_folder", "compared_store"]

Risks = Callable[[World], np.ndarray]


def found(folder: Path, store: ModelStore, settings: TrainingSettings = SETTINGS) -> Comparison:
    outcome = compared(str(folder), TRANSACTION, store, settings)
    assert outcome is not None
    return outcome


CASES: list[tuple[str, Risks, str]] = [
    ("better", lambda world: world.blurred(0.1), "promote"),
    ("equal", lambda world: world.blurred(0.3), "promote"),
    ("worse", lambda world: world.blurred(0.7), "reject"),
    ("three times as sure of everything", lambda world: np.minimum(1.0, world.blurred(0.1) * 3), "reject"),
]


@pytest.mark.parametrize(("risks", "verdict"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_no_worse_is_promoted_and_worse_stays(folder: Path, store: ModelStore, risks: Risks, verdict: str) -> None:
    """By the interval of the difference on the same events, each counted once, and by what its risks mean."""
    write_shadow(folder, risks(WORLD))
    outcome = found(folder, store)
    assert outcome.verdict == verdict, outcome.reasons
    young = int((WORLD.at > max(WORLD.at[-1], WORLD.at[WORLD.label][-1] + 3 * DAY) - 7 * DAY).sum())
    assert (outcome.answered, outcome.waiting) == (ROWS - young, young)
    assert outcome.positives == int(WORLD.label[: ROWS - young].sum())
    assert not outcome.open
    assert settle(store, outcome, NOW) == (verdict == "promote")
    promoted = {"champion": "v2", "previous": "v1", "challenger": None}
    stayed = {"champion": "v1", "previous": None, "challenger": "v2"}
    aliases = {name: store.alias(name) for name in ("champion", "previous", "challenger")}
    assert aliases == (promoted if verdict == "promote" else stayed)


def alerts(folder: Path, store: ModelStore, thresholds: dict[str, object]) -> dict[str, Any]:
    """What the gate for alerts finds where the challenger's thresholds were chosen so."""
    metrics = {"test": {"average_precision": 0.3}, "thresholds": thresholds}
    manifest = store.manifest("v2").model_copy(update={"version": "v4", "metrics": metrics})
    store.write(manifest, {NETWORK: b"n", SCALER: b"{}", GOLDEN: b"g"})
    store.point("challenger", "v4")
    write_shadow(folder, WORLD.blurred(0.1), ("v1", "v4"))
    return {gate["name"]: gate for gate in found(folder, store).gates}["alerts"]


def test_alerts_are_judged_by_how_the_thresholds_were_chosen(folder: Path, store: ModelStore) -> None:
    """By cost it is what they did where they were chosen, not a budget that nobody set."""
    gate = alerts(folder, store, {"by": "cost", "said": "", "alerted": 0.2})
    assert gate["figures"]["expected"] == 0.2
    assert not gate["holds"]


def test_alerts_by_budget_are_judged_by_the_budget(folder: Path, store: ModelStore) -> None:
    """The budget is what is wanted, whatever came of it on the validation part."""
    gate = alerts(folder, store, {"by": "budget", "said": "", "alerted": 0.2})
    assert gate["figures"]["expected"] == TRANSACTION.review_rate
    assert gate["holds"]


def test_a_promotion_is_undone_in_one_step(folder: Path, store: ModelStore, tmp_path: Path) -> None:
    """`models rollback` brings the champion back, its numbers are kept, and nothing promotes the other one again."""
    write_shadow(folder, WORLD.blurred(0.1))
    settle(store, found(folder, store), NOW)
    arguments = ["models", "rollback", "--event-type", "transaction", "--store", str(tmp_path / "models")]
    assert CliRunner().invoke(streamscore, arguments).output.startswith("v1 is the champion again")
    assert (store.alias("champion"), store.alias("previous")) == ("v1", "v2")
    assert compared(str(folder), TRANSACTION, store, SETTINGS) is None
    kept = json.loads((tmp_path / "models" / "transaction" / "comparisons" / "v2.json").read_text())
    assert (kept["verdict"], kept["champion"], kept["compared_at"]) == ("promote", "v1", NOW.isoformat())
    assert kept["promoted"]
    assert {gate["name"] for gate in kept["gates"]} == {"positives", "floors", "champion", "calibration", "alerts"}


def test_what_came_of_a_shadow_is_told_with_the_model(folder: Path, store: ModelStore, tmp_path: Path) -> None:
    """Its card is from before, and `models list` and `show` would call a champion a shadow."""
    write_shadow(folder, WORLD.blurred(0.1))
    where = ["--event-type", "transaction", "--store", str(tmp_path / "models")]
    before = CliRunner().invoke(streamscore, ["models", "show", "v2", *where]).output
    outcome = found(folder, store)
    assert settle(store, outcome, NOW)
    after = CliRunner().invoke(streamscore, ["models", "show", "champion", *where]).output
    said = [f"In shadow beside v1, compared {NOW.isoformat()}: promoted.", *(f"- {why}" for why in outcome.reasons)]
    assert after == before + "\n".join(said) + "\n"
    told = CliRunner().invoke(streamscore, ["models", "list", *where])
    lines = {line.split()[0]: line for line in told.stdout.splitlines()}
    assert lines["v2"].endswith("in shadow promote  champion")
    assert "in shadow" not in lines["v1"]
    (tmp_path / "models" / "transaction" / "comparisons" / "v2.json").write_text("{")
    assert CliRunner().invoke(streamscore, ["models", "show", "champion", *where]).output == before


def test_too_few_positives_wait(folder: Path, store: ModelStore) -> None:
    """Nothing is judged by them, and the sentence says how many there are; the place is kept while more may come."""
    write_shadow(folder, WORLD.blurred(0.1))
    outcome = found(folder, store, TrainingSettings(gates=GateSettings(positives=5000)))
    assert (outcome.verdict, outcome.open) == ("shadow", True)
    assert outcome.reasons == [
        f"{outcome.positives:,} positives among {outcome.answered:,} events with a mature answer, 5,000 needed"
    ]
    assert not settle(store, outcome, NOW)


def test_only_this_pair_counts(folder: Path, store: ModelStore) -> None:
    """What another challenger said, or this one beside another champion, is of no use."""
    write_shadow(folder, WORLD.blurred(0.1), ("v0", "v2"))
    write_shadow(folder, WORLD.blurred(0.1), ("v1", "v3"))
    outcome = found(folder, store)
    assert (outcome.answered, outcome.waiting, outcome.verdict, outcome.open) == (0, 0, "shadow", False)


def test_events_without_an_answer_are_left_out_where_they_mean_nothing(folder: Path, store: ModelStore) -> None:
    """Where unlabelled events are dropped, only labelled ones judge: here there are only positives, so none may."""
    write_shadow(folder, WORLD.blurred(0.1))
    dropping: EventType = replace(TRANSACTION, unlabelled="drop")
    outcome = compared(str(folder), dropping, store, SETTINGS)
    assert outcome is not None
    assert outcome.answered == outcome.positives > 100
    assert outcome.verdict == "shadow"


def test_aliases_that_changed_meanwhile_are_left_alone(folder: Path, store: ModelStore) -> None:
    """Somebody promoted another one while it was compared: that stays."""
    write_shadow(folder, WORLD.blurred(0.1))
    outcome = found(folder, store)
    store.promote("v3")
    assert not settle(store, outcome, NOW)
    assert (store.alias("champion"), store.alias("challenger")) == ("v3", "v2")


@pytest.fixture
def what(folder: Path, store: ModelStore) -> Watch:
    return Watch(str(folder), TRANSACTION, store, SETTINGS, timedelta(days=7))


def test_watch_compares_every_day(what: Watch, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it does beside; the numbers are on its metrics and the challenger takes its place."""
    write_shadow(folder, WORLD.blurred(0.1))
    metrics, clock, looks = TrainerMetrics(), [NOW], list[datetime]()
    monkeypatch.setattr(watching, "due", lambda *_: False)

    def noted(*given: Any) -> Any:
        looks.append(given[2])
        return challenged(*given)

    monkeypatch.setattr(watching, "challenged", noted)

    def stopped(_: float) -> bool:
        clock[0] += timedelta(hours=6)
        return clock[0] > NOW + timedelta(days=3)

    watching.watch(what, metrics, lambda: clock[0], stopped)
    assert [at - NOW for at in looks] == [timedelta(hours=6 + 24 * day) for day in range(3)]
    assert what.store.alias("champion") == "v2"
    value = metrics.registry.get_sample_value
    assert value("streamscore_training_comparisons_total", {"verdict": "promote"}) == 1
    assert value("streamscore_training_comparison", {"figure": "positives"}) == found_positives(folder)
    assert (value("streamscore_training_comparison", {"figure": "estimate"}) or 0) > 0


def found_positives(folder: Path) -> int:
    """As many positives as the archive has, among the events that are old enough."""
    young = max(WORLD.at[-1], WORLD.at[WORLD.label][-1] + 3 * DAY) - 7 * DAY
    return int((WORLD.label & (WORLD.at <= young)).sum())


@pytest.mark.parametrize("error", [ArchiveUnreachable("gone"), BundleError("v1: manifest.json is missing")])
def test_a_comparison_that_fails_stops_nobody(
    what: Watch, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said and counted; the aliases are as they were, and training goes on."""

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(watching, "compared", fails)
    metrics = TrainerMetrics()
    assert challenged(what, metrics, NOW), "a challenger that may be there keeps its place"
    assert metrics.registry.get_sample_value("streamscore_training_failures_total") == 1
    assert f"no challenger was compared: {error}" in caplog.text
    assert what.store.alias("challenger") == "v2"


def test_the_command(folder: Path, store: ModelStore, tmp_path: Path) -> None:
    """It says what became of the challenger and why, and that there is none."""
    write_shadow(folder, WORLD.blurred(0.1))
    given = {"--archive": folder, "--event-type": "transaction", "--store": tmp_path / "models"}
    arguments = ["compare", *(str(part) for pair in given.items() for part in pair)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0
    assert "v2 beside v1: it is the champion; " in done.output
    assert "average precision less the champion's is +0." in done.output
    assert "there is no challenger of transaction" in CliRunner().invoke(cli, arguments).output
