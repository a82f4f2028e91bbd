"""Real-time risk scoring of events: the public names. Only these and `streamscore.testing` are stable.

    model = streamscore.load_model("models", "transaction")
    model.score(pandas.read_parquet("events.parquet"))

Names that declare events are here at once. The others are imported when they are first asked for, because Keras,
pandas and the compiled kernels of history take seconds to load.
"""

import importlib
from typing import TYPE_CHECKING, Any

from streamscore.core.events.aggregate import Aggregate
from streamscore.core.events.application import APPLICATION
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import (
    Feature,
    FeatureSet,
    as_is,
    hour_of_day,
    is_missing,
    is_night,
    is_weekend,
    log1p,
    ratio,
)
from streamscore.core.events.field import known, protected
from streamscore.core.events.record import Partition, Record
from streamscore.core.events.transaction import TRANSACTION
from streamscore.errors import (
    ArchiveUnreachable,
    BrokerError,
    BundleError,
    DataError,
    DrainTimeout,
    OffsetsExpired,
    SettingsError,
    StoreUnreachable,
    StreamScoreError,
)

if TYPE_CHECKING:
    from streamscore.core.scoring.bundle import Thresholds
    from streamscore.core.scoring.decision import Message, Reason
    from streamscore.core.scoring.pipeline import Outcome
    from streamscore.files.history import History
    from streamscore.models.model import EventScore, Model
    from streamscore.models.store import ModelStore, load_model
    from streamscore.settings.load import load_settings
    from streamscore.settings.schema import Settings
    from streamscore.worker.protocols import Sink, Source
    from streamscore.worker.worker import Worker

__all__ = [
    "APPLICATION",
    "TRANSACTION",
    "Aggregate",
    "ArchiveUnreachable",
    "BrokerError",
    "BundleError",
    "DataError",
    "DrainTimeout",
    "EventScore",
    "EventType",
    "Feature",
    "FeatureSet",
    "History",
    "Message",
    "Model",
    "ModelStore",
    "OffsetsExpired",
    "Outcome",
    "Partition",
    "Reason",
    "Record",
    "Settings",
    "SettingsError",
    "Sink",
    "Source",
    "StoreUnreachable",
    "StreamScoreError",
    "Thresholds",
    "Worker",
    "as_is",
    "hour_of_day",
    "is_missing",
    "is_night",
    "is_weekend",
    "known",
    "load_model",
    "load_settings",
    "log1p",
    "protected",
    "ratio",
]

# Each public name that takes long to import, and the module that has it.
_LAZY = {
    "EventScore": "models.model",
    "History": "files.history",
    "Message": "core.scoring.decision",
    "Model": "models.model",
    "ModelStore": "models.store",
    "Outcome": "core.scoring.pipeline",
    "Reason": "core.scoring.decision",
    "Settings": "settings.schema",
    "Sink": "worker.protocols",
    "Source": "worker.protocols",
    "Thresholds": "core.scoring.bundle",
    "Worker": "worker.worker",
    "load_model": "models.store",
    "load_settings": "settings.load",
}


def __getattr__(name: str) -> Any:
    """A public name on first use (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
