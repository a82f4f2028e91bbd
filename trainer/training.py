"""One training as a function: learn from an archive, add the bundle to a store, and promote it when no gate objects."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.bundle import Manifest
from streamscore.models.bundle_files import REPORT
from streamscore.models.store import ModelStore
from streamscore.registry import find_event_type
from trainer.promotion.placement import place
from trainer.promotion.shadow_comparison import waits
from trainer.run import Job, Progress, Source, train_once
from trainer.settings import TrainingSettings

if TYPE_CHECKING:
    from trainer.fitting.fit import Epoch

Promote = Literal["gates", "always", "never"]


class Trained(NamedTuple):
    """What came of a training.

    `verdict` is promote, shadow or reject; `reasons` are the gates' sentences. `alias` is the one that the bundle got,
    None for none, and `why` says why it is not the champion although its verdict was to promote it. `waits` tells that
    a challenger keeps its alias because it waits for its labels.
    """

    manifest: Manifest
    verdict: str
    reasons: tuple[str, ...]
    alias: str | None
    why: str
    waits: bool
    store: ModelStore

    @property
    def report(self) -> bytes:
        """The report of the training: one page of HTML with its plots inside."""
        return self.store.read(self.manifest.version).files[REPORT]


def train(
    archive: str | Source,
    event_type: EventType | str,
    store: ModelStore | str,
    settings: TrainingSettings | None = None,
    *,
    promote: Promote = "gates",
    progress: Progress | None = None,
) -> Trained:
    """Train one model on an archive and add its bundle to a store, once it loads as a worker would load it.

    `archive` is a folder or a URL, or a `Source` that names some rows of one. `event_type` is an event type or its
    name, `store` a model store or its URL. `promote` says who decides on the alias: with `gates` the gates decide,
    with `always` the bundle becomes the champion, with `never` it gets no alias. `progress` hears a sentence per step
    and each epoch.

    DataError when the archive holds too little to learn from, SettingsError when the settings do not fit, BundleError
    when the bundle cannot be trusted. A training that fails leaves the store as it was.

    Example:
        >>> from trainer import TrainingSettings, train
        >>> trained = train("archive", "application", "models", TrainingSettings(preset="dense", epochs=2))
        >>> trained.verdict in ("promote", "shadow", "reject")
        True
    """
    chosen = event_type if isinstance(event_type, EventType) else find_event_type(event_type)
    models = store if isinstance(store, ModelStore) else ModelStore(store, chosen)
    asked, now = settings or TrainingSettings(), datetime.now(UTC)
    source = archive if isinstance(archive, Source) else Source(archive)
    with models.alone(now):
        job = Job(chosen, models, asked, now)
        manifest = train_once(source, job, progress or Progress(_ignore, _ignore))
        judgement = manifest.metrics["judgement"]
        waiting = promote == "gates" and judgement["verdict"] != "reject" and waits(source.url, chosen, models, asked)
        alias, why = (None, "") if promote == "never" else place(models, manifest, promote == "always", waiting)
    return Trained(manifest, judgement["verdict"], tuple(judgement["reasons"]), alias, why, waiting, models)


def _ignore(_: "str | Epoch") -> None:
    return None
