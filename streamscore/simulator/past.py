"""A simulated past written as an archive."""

from pathlib import Path

import numpy as np

from streamscore.archive.importing import _part
from streamscore.archive.schemas import schemas
from streamscore.core.events.event_type import EventType
from streamscore.simulator.streams import Simulated


def write_simulated(folder: Path, event_type: EventType, simulated: Simulated, known_until: int, part: str) -> None:
    """Write simulated events, and those of their labels known by `known_until` (µs since 1970 UTC).

    `part` names the two files, replacing what an earlier call wrote, and stands for the Kafka topic.
    """
    columns = simulated.columns | {"label": simulated.label, "labelled_at": simulated.labelled_at}
    with _part(folder, part, schemas(event_type)) as write:
        write(np.arange(len(simulated.label)), columns, simulated.labelled_at <= known_until)
