"""Compare a challenger in shadow with the champion on the same events, by labels that have matured since.

shadow scores → in time order, each event once, with its label → mature → gates → promoted or not
"""

import json
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from streamscore.archive.read import Archive, Rows
from streamscore.archive.shadow import shadowed
from streamscore.core.events.event_type import EventType
from streamscore.errors import BundleError, StoreUnreachable
from streamscore.models.bundle_files import Alias
from streamscore.models.store import ModelStore
from trainer.data.ordered import ANSWER, ReadCounts, answered
from trainer.evaluation.bootstrap import blocks_of
from trainer.evaluation.thresholds import expected_alerts
from trainer.promotion.gates import Case, Gate, Verdict, promise, shadow_gates, verdict
from trainer.settings import TrainingSettings

PAIR: tuple[Alias, Alias] = ("champion", "challenger")
# The columns of a label that an answer is made from.
LABEL_COLUMNS = ("event_id", "occurred_at", "label", "labelled_at")


class Comparison(NamedTuple):
    """The result of one comparison: the verdict on a challenger, its reasons, and every gate with its figures.

    `answered` counts the events with a mature label, `positives` the positives among them, and `waiting` the events
    that are too young. A comparison is `open` while it has too few positives and more may come.
    """

    champion: str
    challenger: str
    answered: int
    positives: int
    waiting: int
    open: bool
    verdict: Verdict
    reasons: list[str]
    gates: list[dict[str, Any]]

    @property
    def figures(self) -> dict[str, float]:
        """The counts of events, and the difference in average precision when there were enough positives."""
        figures = {name: float(getattr(self, name)) for name in ("answered", "positives", "waiting")}
        return figures | next((gate["figures"] for gate in self.gates if gate["name"] == "champion"), {})

    def summary(self, promoted: bool) -> str:
        """The outcome and the sentence of every gate, in one line."""
        became = "it is the champion" if promoted else "it waits" if self.open else "it stays in shadow"
        return f"{became}; {'; '.join(gate['said'] for gate in self.gates)}; {self.waiting:,} events are too young"


class _Both(NamedTuple):
    """Events with a mature answer: whose each is, both risks and the answer. And how many are too young."""

    rows: pa.Table
    waiting: int


def compared(url: str, event_type: EventType, store: ModelStore, settings: TrainingSettings) -> Comparison | None:
    """The challenger beside the champion, by what an archive holds of both; None where there are not two.

    DataError, ArchiveUnreachable and BundleError, as of archive and store.
    """
    champion, challenger = store.alias("champion"), store.alias("challenger")
    if champion is None or challenger is None or champion == challenger:
        return None
    rows, waiting = _mature(Archive(url, event_type), event_type, (champion, challenger))
    labels = rows[ANSWER].to_numpy()
    positives, needed = int(labels.sum()), settings.gates.positives
    enough = positives >= needed and positives < len(labels)
    said = f"{positives:,} positives among {len(labels):,} events with a mature answer, {needed:,} needed"
    found = [Gate("positives", enough, "shadow", said, {"events": len(labels), "positives": positives})]
    if enough:
        before, manifest = store.manifest(champion), store.manifest(challenger)
        case = Case(
            labels=labels,
            risks=rows["risk"].to_numpy(),
            champion=rows["champion_risk"].to_numpy(),
            blocks=blocks_of(rows[event_type.entities[0]]),
            thresholds=manifest.thresholds,
            alert_rate=expected_alerts(manifest, settings.review_rate or event_type.review_rate),
            validation_positives=positives,
            profiles={},
            rates=(0.0, 0.0),
            promised=promise(before.metrics),
            seed=settings.seed,
        )
        found += shadow_gates(case, settings.gates)
    return Comparison(
        champion,
        challenger,
        len(labels),
        positives,
        waiting,
        not enough and waiting > 0,
        *verdict(found, champion=True),
        [gate._asdict() for gate in found],
    )


def settle(store: ModelStore, found: Comparison, now: datetime) -> bool:
    """Promote the challenger if it may be, and keep what was found beside the bundles; whether it was promoted.

    Nothing is promoted when the aliases are not what they were.
    """
    same = (store.alias("champion"), store.alias("challenger")) == (found.champion, found.challenger)
    promoted = found.verdict == "promote" and same
    if promoted:
        store.promote(found.challenger)
    note = {**found._asdict(), "promoted": promoted, "compared_at": now.isoformat()}
    store.note(found.challenger, json.dumps(note, indent=1).encode())
    return promoted


def readable(store: ModelStore) -> bool:
    """Whether challenger and champion are there with the right digests: else they can never be compared."""
    try:
        for name in PAIR:
            version = store.alias(name)
            if version is None:
                return False
            store.read(version)
    except StoreUnreachable:
        return True
    except BundleError:
        return False
    return True


def waits(url: str, event_type: EventType, store: ModelStore, settings: TrainingSettings) -> bool:
    """Whether the challenger waits for its answers, and keeps its place; also where that cannot be found out."""
    try:
        found = compared(url, event_type, store, settings)
    except Exception:  # what is new is trained already: it gets its place whatever is wrong with another
        return readable(store)
    return found is not None and found.open and readable(store)


def _mature(archive: Archive, event_type: EventType, models: tuple[str, str]) -> _Both:
    """What both models said of events old enough to be answered, by the rule that training has."""
    names = [event_type.entities[0], "risk", "champion_risk", ANSWER]
    first = [pc.min(table["occurred_at"]).as_py() for table in shadowed(archive, event_type, models)]
    maturity, tally = event_type.maturity // timedelta(microseconds=1), ReadCounts()
    kept = [pa.table({name: pa.array([], pa.bool_() if name == ANSWER else pa.null()) for name in names})]
    if first:
        labels = archive.labels(LABEL_COLUMNS, Rows(since=min(first)))
        with tempfile.TemporaryDirectory() as folder:
            for chunk in answered(shadowed(archive, event_type, models), labels, Path(folder), tally):
                kept.append(chunk.filter(pc.field("at") <= tally.known_until - maturity).select(names))
    rows = pa.concat_tables(kept[1:] or kept)
    waiting = tally.events - tally.repeated - rows.num_rows
    answer = rows[ANSWER]
    if event_type.unlabelled == "drop":
        rows = rows.filter(answer.is_valid())
    return _Both(rows.set_column(len(names) - 1, ANSWER, pc.fill_null(rows[ANSWER], False)), waiting)
