"""The public `Model`: a champion of the store that scores rows in memory as the worker scores a stream."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from streamscore.core.events.decode import Entry, Limits
from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.bundle import Bundle, Thresholds
from streamscore.core.scoring.decision import Reason, Score
from streamscore.core.scoring.pipeline import FeaturesOf, Prepared, judge, no_history, prepare, scored_events
from streamscore.core.scoring.pipeline import History as ColumnsOf
from streamscore.errors import BundleError
from streamscore.files.as_of import error_of
from streamscore.files.frames import HeldRows, Rows, frame_lines, held, index_of
from streamscore.files.history import History
from streamscore.files.rows import row_entries
from streamscore.models.bundle_files import BundleReader
from streamscore.models.load import first_champion, load


class EventScore(NamedTuple):
    """What `Model.score_one` says of an event. Either `error` says why it is no event, or it has a risk.

    `risk` is a calibrated probability from 0 to 1, `decision` the band of the thresholds that it lies in. `reasons`
    say what raised the risk, strongest first; only an event above the review threshold has some.
    """

    risk: float | None
    decision: str | None
    error: str | None
    reasons: tuple[Reason, ...] = ()


class Model:
    """A verified model, compiled and ready to score. `load_model` makes one. Threads may share it.

    Methods take events as a pandas DataFrame, a pyarrow Table or an iterable of mappings, under the events' wire names.
    NaN, NaT, NA and None are missing values. A time without a zone is UTC. Columns that are not declared are ignored.
    A row that is no event has an error, `reason: field: text` as a dead letter has, and leaves other rows alone.

    An event type with a history needs one: `history` holds the events and labels folded before. It is asked and never
    changed. Without `history` the events given are all that is known, each as of its own time.

    Features equal the worker's to the bit. Risks do too in batches of one size; else they differ by at most 2e-6.
    TypeError says that events are none of the three kinds; DataError that a frame has a declared column twice.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    @property
    def event_type(self) -> EventType:
        """The event type that it scores."""
        return self._bundle.event_type

    @property
    def version(self) -> str:
        """The version of its bundle in the store."""
        return self._bundle.manifest.version

    @property
    def thresholds(self) -> Thresholds:
        """The risks from which an event is reviewed and declined."""
        return self._bundle.manifest.thresholds

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features it was trained on, in the order of its matrix."""
        return self._bundle.features.names

    @property
    def device(self) -> str:
        """Where it computes: `cpu` or the name of the GPU, and the Keras backend."""
        return self._bundle.scorer.device

    def score(
        self, events: Rows, *, history: History | None = None, reasons: bool = False, features: bool = False
    ) -> pd.DataFrame:
        """Score events into a frame with their index: `risk`, `decision` and `error`, one row a row.

        `risk` is float64 and NaN in a row that is no event; `decision` and `error` are text or None. With `reasons` a
        column lists `code`, `text` and `contribution` (in logits) of what raised the risk, for events above the review
        threshold. With `features` a column holds each event's features by name, None where missing. Both are None in
        a row that is no event. Rows are converted 4,096 at a time, so memory grows with the result alone.

            >>> events = streamscore.testing.events_of(model.event_type, 3, seed=1)
            >>> list(model.score(events).columns)
            ['risk', 'decision', 'error']
        """
        rows = held(events)
        pairs = chain.from_iterable(
            self._scores(prepared, features) for prepared in self._prepared(rows, self._columns_of(rows, history))
        )
        index, found = index_of(rows), [_row(entry, score, reasons, features) for entry, score in pairs]
        names = ["risk", "decision", "error", *["reasons"] * reasons, *["features"] * features]
        columns = dict(zip(names, zip(*found, strict=True) if found else [()] * len(names), strict=True))
        dtypes = {name: np.float64 if name == "risk" else object for name in names}
        return pd.DataFrame({name: pd.Series(list(columns[name]), index, dtypes[name]) for name in names}, index)

    def score_one(self, event: Mapping[str, Any], *, history: History | None = None) -> EventScore:
        """Score one event, given as a mapping by wire names, with its reasons.

        >>> event, = streamscore.testing.events_of(model.event_type, 1, seed=1)
        >>> 0 <= model.score_one(event).risk <= 1
        True
        """
        rows = held([event])
        (prepared,) = self._prepared(rows, self._columns_of(rows, history))
        ((entry, score),) = self._scores(prepared, features=False)
        if score is None:
            return EventScore(None, None, _error(entry))
        return EventScore(score.risk, score.decision, None, score.reasons)

    def features_of(self, events: Rows, *, history: History | None = None) -> pd.DataFrame:
        """What the network sees of each event before scaling: float32 (rows, features), NaN where missing.

        >>> events = streamscore.testing.events_of(model.event_type, 3, seed=1)
        >>> model.features_of(events).shape == (3, len(model.features))
        True
        """
        return self._frame(events, history, lambda matrix: matrix).astype(np.float32)

    def explain(self, events: Rows, *, history: History | None = None) -> pd.DataFrame:
        """The share of each feature in each event's risk, in logits: float64 (rows, features), NaN for no event.

        Shares are integrated gradients (Sundararajan, Taly and Yan, 2017) against the baseline of the training
        events. A positive share raised the risk. A row's shares sum to the difference of its logit from the
        baseline's, but for the small residual of the integration.

            >>> events = streamscore.testing.events_of(model.event_type, 3, seed=1)
            >>> model.explain(events).shape == (3, len(model.features))
            True
        """
        return self._frame(events, history, lambda matrix: self._bundle.scorer.contributions(matrix).values)

    def _frame(self, events: Rows, history: History | None, of: Callable[[np.ndarray], np.ndarray]) -> pd.DataFrame:
        rows, width = held(events), len(self.features)
        parts = [np.empty((0, width))]
        for prepared in self._prepared(rows, self._columns_of(rows, history)):
            part = np.full((len(prepared.entries), width), np.nan)
            part[[entry.event is not None for entry in prepared.entries]] = of(prepared.matrix)
            parts.append(part)
        return pd.DataFrame(np.concatenate(parts), index_of(rows), list(self.features))

    def _columns_of(self, rows: HeldRows, history: History | None) -> ColumnsOf:
        """The function that adds the columns of history to those of events."""
        if not self.event_type.history:
            return no_history
        if history is None:
            history = History(self.event_type)
            history.fold(rows)
        if history.event_type is not self.event_type:
            raise ValueError(f"a history of {history.event_type.name} events for a model of {self.event_type.name}")
        return history.entities.extended

    def _prepared(self, rows: HeldRows, columns_of: ColumnsOf) -> Iterator[Prepared]:
        now, first = datetime.now(UTC), 0
        for lines in frame_lines(self.event_type, rows):
            yield prepare(row_entries(self.event_type, lines, "events", first, now, Limits()), self._bundle, columns_of)
            first += len(lines)

    def _scores(self, prepared: Prepared, features: bool) -> Iterator[tuple[Entry, Score | None]]:
        """Each entry with the score that a worker would publish; None where it is no event."""
        judged = judge(self._bundle, prepared.matrix)
        which: FeaturesOf = "all" if features else "off"
        scores = iter(scored_events(prepared, self._bundle, judged, datetime.now(UTC), which))
        return ((entry, None if entry.event is None else next(scores)) for entry in prepared.entries)


def _error(entry: Entry) -> str | None:
    return error_of(entry.dead_letter) if entry.dead_letter else None


def _row(entry: Entry, score: Score | None, reasons: bool, features: bool) -> tuple[Any, ...]:
    """A row of the frame; the event and its score are not kept."""
    if score is None:
        return (np.nan, None, _error(entry), *[None] * reasons, *[None] * features)
    why = [list(map(msgspec.to_builtins, score.reasons))] if reasons else []
    return (score.risk, score.decision, None, *why, *[score.features] * features)


def model_of(store: BundleReader, event_type: EventType, version: str, device: str) -> Model:
    """The model of a version or an alias. BundleError when there is none, or it cannot be trusted."""
    if version == "champion":
        return Model(first_champion(store, event_type, device))
    alias = _OTHER_ALIASES.get(version)
    found = store.alias(alias) if alias else version
    if found is None:
        raise BundleError(f"no {version} for {event_type.name}")
    return Model(load(store, found, event_type, device))


_OTHER_ALIASES: dict[str, Literal["challenger", "previous"]] = {"challenger": "challenger", "previous": "previous"}
