"""A history to begin with out of the archive: what it holds is folded, and the topics are read on from there."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamscore.archive.read import Archive, Rows, columns, label_columns, offsets, told_columns
from streamscore.archive.schemas import COORDINATES
from streamscore.core.events.record import NEVER, Partition
from streamscore.core.scoring.stream_history import Checkpoint, StreamHistory
from streamscore.errors import StreamScoreError
from streamscore.files.as_of import OnProgress
from streamscore.recovery.from_snapshot import RecoverableStream

log = logging.getLogger("streamscore.worker")


def archived(stream: RecoverableStream, folder: str, latest: bool, told: OnProgress) -> StreamHistory:
    """The history that an archive holds of a stream, else an empty one; `latest` is where a new group starts."""
    history = stream.empty
    try:
        before = offsets(folder, stream.kept.keys(), stream.key_id)
        if not before:
            return history
        if any(offset > stream.kept[partition].end for partition, offset in before.items()):
            log.warning("the archive is not used for history: it is of other topics of these names")
            return history
        labelled = offsets(folder, stream.kept.keys(), stream.key_id, "labels")
        archive = Archive(folder, stream.event_type)
        glance = _glanced(archive, stream, before, latest)
        again = _folded(archive, stream, history, (glance, told))
        repeated = _repeated(archive, stream, again) if again else []
        after = offsets(folder, stream.kept.keys(), stream.key_id)
    except StreamScoreError as error:
        log.error("the archive is not used for history: %s", error)
        return stream.empty
    # Labels are read again as far as their topic has them: only of what it has lost must the archive hold all.
    again_from = {p: stream.kept[p].first for p, offset in labelled.items() if offset >= stream.kept[p].first}
    least = _standing(stream, history, glance, before | again_from)
    reached = [(*partition, offset) for partition, offset in after.items()]
    history.resume(least, msgspec.structs.replace(least, reached=reached, repeated=repeated))
    log.info("history: %d events are restored of the archive", history.by_entity.events)
    return history


@dataclass
class _Summary:
    """What an archive is about, in µs: its first and last event, and the first that is still to be scored."""

    rows: int = 0
    first: int = NEVER
    newest: int = -NEVER
    oldest: dict[Partition, int] = field(default_factory=dict)  # of each partition, that is still to be scored
    begins: dict[Partition, int] = field(default_factory=dict)  # the first offset of each partition

    @property
    def asked(self) -> int:
        """No event before it will be asked for."""
        return min([self.newest, *self.oldest.values()])


def _standing(
    stream: RecoverableStream, history: StreamHistory, glance: _Summary, before: Mapping[Partition, int]
) -> Checkpoint:
    """The least checkpoint of a history that has folded an archive; repeats at other offsets are not in it yet."""
    whole = all(offset == 0 for offset in glance.begins.values())
    committed = {p: max(0, stream.kept[p].committed) for p in before}
    return Checkpoint(
        folded=[(*partition, offset) for partition, offset in before.items()],
        reached=[],
        needed=[],
        steps=[(*partition, committed[partition], at / 1e6) for partition, at in glance.oldest.items()],
        repeated=[],
        # The records between the archive's end and the topic's beginning are lost.
        cut=[partition for partition, offset in before.items() if offset < stream.kept[partition].first],
        complete_since=0.0 if whole else (glance.first + history.horizon) / 1e6,
        newest=glance.newest / 1e6,
        bound=history.by_entity.bound,
    )


def _glanced(archive: Archive, stream: RecoverableStream, before: Mapping[Partition, int], latest: bool) -> _Summary:
    """Look at the times and places of all events."""
    glance = _Summary()
    from_ = {p: kept.committed if kept.committed >= 0 or not latest else kept.end for p, kept in stream.kept.items()}
    for rows in archive.events([*COORDINATES, "occurred_at"]):
        at, offset = rows["occurred_at"].cast(pa.int64()).to_numpy(), rows["kafka_offset"].to_numpy()
        glance.rows += len(at)
        glance.first, glance.newest = min(glance.first, int(at.min())), max(glance.newest, int(at.max()))
        for partition, here in _by_partition(rows):
            if partition not in before:
                continue
            glance.begins[partition] = min(glance.begins.get(partition, NEVER), int(offset[here].min()))
            waiting = here & (offset >= from_[partition])
            if waiting.any():
                glance.oldest[partition] = min(glance.oldest.get(partition, NEVER), int(at[waiting].min()))
    return glance


def _by_partition(rows: pa.Table) -> list[tuple[Partition, np.ndarray]]:
    topics = rows["kafka_topic"].combine_chunks().dictionary_encode()
    number, names = rows["kafka_partition"].to_numpy(), topics.dictionary.to_pylist()
    found = []
    for code, name in enumerate(names):
        of_topic = topics.indices.to_numpy() == code
        found += [((name, int(p)), of_topic & (number == p)) for p in np.unique(number[of_topic])]
    return found


def _folded(
    archive: Archive, stream: RecoverableStream, history: StreamHistory, how: tuple[_Summary, Callable[[str], None]]
) -> list[pa.Table]:
    """Fold what can still be asked for; the ids and times of events of which there are several."""
    (glance, told), event_type, done = how, stream.event_type, 0
    history.by_entity.trim(glance.asked, 0)
    since = (
        Rows(since=datetime.fromtimestamp(history.by_entity.bound / 1e6, UTC))
        if history.by_entity.bound > 0
        else Rows()
    )
    again: list[pa.Table] = []
    for rows in archive.events([*COORDINATES, *(f.name for f in event_type.fields)], since):
        taken = history.by_entity.fold(history.by_entity.read(columns(event_type, rows)))
        if not taken.all():
            again.append(rows.filter(~taken).select(["event_id", "occurred_at"]))
        done += len(taken)
        told(f"history: {done:,} events of the archive are folded, of {glance.rows:,} at most")
    for rows in archive.labels(told_columns(event_type), since):
        history.by_entity.fold_labels(label_columns(event_type, rows.filter(rows["label"].is_valid())))
    return again


def _repeated(
    archive: Archive, stream: RecoverableStream, again: Sequence[pa.Table]
) -> list[tuple[str, int, int, float]]:
    """The places of all copies of events but the first that came, and when they occurred; rows come in any order."""
    ids = pa.concat_tables(again)
    whose = pc.unique(ids["event_id"])
    copies = [
        rows.filter(pc.is_in(rows["event_id"], whose))
        for rows in archive.events(["event_id", "occurred_at", "kafka_timestamp", *COORDINATES])
    ]
    order = [(name, "ascending") for name in ("event_id", "occurred_at", "kafka_timestamp", *COORDINATES)]
    rows = pa.concat_tables(copies).sort_by(order).to_pylist()
    known = stream.kept.keys()
    return [
        (*(row[name] for name in COORDINATES), row["occurred_at"].timestamp())
        for before, row in pairwise(rows)
        if (before["event_id"], before["occurred_at"]) == (row["event_id"], row["occurred_at"])
        and (row["kafka_topic"], row["kafka_partition"]) in known
    ]
