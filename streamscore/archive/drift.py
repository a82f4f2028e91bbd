"""Whether an archive's events, and the risks published of them, lie as they did when a model was trained.

archive → features as of each event's time → counts in the model's own bins → population stability index
"""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from streamscore.archive.order import as_of
from streamscore.archive.read import Archive, Rows, published
from streamscore.core.events.event_type import EventType
from streamscore.core.events.record import NEVER
from streamscore.core.history.entity_history import EntityHistory
from streamscore.core.scoring.bundle import RISK, Manifest, comparable
from streamscore.core.scoring.profile import Profile, change, histogram, merged, psi, psi_threshold
from streamscore.errors import DataError

EPOCH = datetime.fromtimestamp(0, UTC)


class Moved(NamedTuple):
    """How far a feature or the published risks moved, from which index on that is drift, and where most went."""

    name: str
    psi: float
    threshold: float
    said: str

    @property
    def drifted(self) -> bool:
        return self.psi > self.threshold


class Drift(NamedTuple):
    """What was compared with a model's training: so many events and risks, and how far each column of them moved.

    `moved` has the largest shares of their thresholds first.
    """

    event_type: str
    version: str
    since: datetime | None
    until: datetime | None
    events: int
    risks: int
    moved: list[Moved]

    @property
    def drifted(self) -> list[Moved]:
        return [each for each in self.moved if each.drifted]


def drift(url: str, event_type: EventType, model: Manifest, rows: Rows) -> Drift:
    """Compare the events of an archive that occurred in [since, until) with what a model was trained on.

    Without `since` they begin after the last event that the model was made from. What the history of the first events
    asks for is read as well. Risks are those published with this model, each as often as it was.
    Without such an event nothing is told of any. DataError when the model has no profiles.
    """
    if not model.profiles:
        raise DataError(f"{model.version} does not say how its features lay: train a new model")
    since, archive = rows.since or _after(model), Archive(url, event_type)
    features = _features(archive, event_type, model, rows._replace(since=since))
    risks = _risks(archive, model, rows._replace(since=since))
    events = max((found.rows for found in features.values()), default=0)
    pairs = [(name, model.profiles[name], found) for name, found in features.items() if events]
    pairs += [(RISK, model.risks, risks)] if model.risks and risks and risks.rows else []
    names = {feature.name: event_type.codes(feature) for feature in event_type.features.features}
    moved = [
        Moved(name, psi(was, now), psi_threshold(was, now), change(was, now, names.get(name, {})))
        for name, was, now in pairs
    ]
    moved.sort(key=lambda each: -each.psi / each.threshold)
    return Drift(event_type.name, model.version, since, rows.until, events, risks.rows if risks else 0, moved)


def _after(model: Manifest) -> datetime | None:
    last = model.data.get("last_event")
    return datetime.fromisoformat(last) + timedelta(microseconds=1) if last else None


def _features(archive: Archive, event_type: EventType, model: Manifest, rows: Rows) -> dict[str, Profile]:
    names = event_type.features.names
    found = {name: _nothing(profile) for name, profile in comparable(model, event_type.features).items()}
    begin = -NEVER if rows.since is None else (rows.since - EPOCH) // timedelta(microseconds=1)
    with tempfile.TemporaryDirectory() as folder:
        for chunk in as_of(archive, event_type, Path(folder), _reaching_back(event_type, rows)):
            inside = chunk.matrix[chunk.times >= begin]
            for name, so_far in found.items():
                found[name] = merged(so_far, histogram(inside[:, names.index(name)], so_far.edges))
    return found


def _risks(archive: Archive, model: Manifest, rows: Rows) -> Profile | None:
    if model.risks is None:
        return None
    found = _nothing(model.risks)
    for risks in published(archive, model.version, rows):
        found = merged(found, histogram(risks, found.edges))
    return found


def _nothing(bins: Profile) -> Profile:
    return histogram(np.empty(0), bins.edges)


def _reaching_back(event_type: EventType, rows: Rows) -> Rows:
    """The rows, and before them those that their history asks for."""
    if rows.since is None or not event_type.history:
        return rows
    return rows._replace(since=rows.since - timedelta(microseconds=EntityHistory(event_type).horizon))
