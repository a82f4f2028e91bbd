"""Snapshots of a history: they only make a restart quicker, and can be deleted at any time.

    <url>/<event type>/<when>-<who>/00000.parquet … manifest.json

A part holds rows of whole entities: `entity` (the hash of its key) stands on the first row of each. The
manifest, with the digest of every part, is written last: without it nothing is there. Any fsspec URL will do.
"""

import hashlib
import io
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streamscore.core.history.timeline import Part
from streamscore.core.scoring.stream_history import Checkpoint
from streamscore.errors import DataError
from streamscore.files.storage import open_url

MANIFEST = "manifest.json"
# Beside the snapshots: which erasure was the last, if there was any.
ERASED = "erased"
# Two, so that a worker that began to read one may finish while the next is made.
KEPT = 2
# A snapshot without a manifest that is as old as this was given up.
GIVEN_UP = timedelta(hours=6)
NAMED = "%Y%m%dT%H%M%S"


class Written(msgspec.Struct, frozen=True):
    """One file of a snapshot: the timeline its rows are of, how many, and the SHA-256 of the file."""

    file: str
    timeline: str
    rows: int
    digest: str


class Identity(NamedTuple):
    """What a snapshot is of: the declaration's digest, the topics' ids, whose pseudonyms, and after which erasure."""

    declaration: str
    topics: dict[str, str]
    key_id: str | None = None
    erased: str | None = None


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a snapshot is: what it was declared as, of which topics, where its past stood, and its files.

    `before` and `after` is where the past stood when copying began and when it ended; `topics` are ids by name.
    `key_id` tells the pseudonyms that its entities were hashed by; `erased` which erasure came before its past began.
    """

    declaration: str
    topics: dict[str, str]
    before: Checkpoint
    after: Checkpoint
    parts: list[Written]
    key_id: str | None = msgspec.field(name="naming", default=None)  # the name that snapshots on disk have
    erased: str | None = None
    digest: str = ""


class SnapshotStore:
    """The snapshots of one event type under a URL. Other errors than its own are the file system's."""

    def __init__(self, url: str, event_type: str) -> None:
        self._fs, root = open_url(url, "snapshots")
        self._root = f"{root}/{event_type}"

    def names(self) -> list[str]:
        """Every complete snapshot, newest first."""
        return [name for name in self._begun() if self._fs.exists(f"{self._root}/{name}/{MANIFEST}")]

    def _begun(self) -> list[str]:
        """Every snapshot, complete or not, newest first."""
        self._fs.invalidate_cache(self._root)  # others write there as well
        with suppress(FileNotFoundError):
            found = {PurePosixPath(path).name for path in self._fs.ls(self._root, detail=False)}
            return sorted(filter(made_at, found), reverse=True)
        return []

    def manifest(self, name: str) -> Manifest:
        """What a snapshot says of itself; DataError when it is damaged."""
        try:
            manifest = msgspec.json.decode(self._fs.cat_file(f"{self._root}/{name}/{MANIFEST}"), type=Manifest)
        except msgspec.DecodeError as error:
            raise DataError(f"snapshot {name}: {MANIFEST} is none: {error}") from None
        if manifest.digest != _digest_of(manifest):
            raise DataError(f"snapshot {name}: {MANIFEST} does not have the digest that it gives")
        return manifest

    def part(self, name: str, written: Written) -> Part:
        """The rows of one file; DataError when it is not the one that was written."""
        content = self._fs.cat_file(f"{self._root}/{name}/{written.file}")
        if hashlib.sha256(content).hexdigest() != written.digest:
            raise DataError(f"snapshot {name}: {written.file} does not have the digest its manifest gives")
        return _decoded(content)

    def add(self, name: str, number: int, timeline: str, pieces: Sequence[Part]) -> Written:
        """Write rows of one timeline as a snapshot's file of that number."""
        content, file = _encoded(pieces), f"{number:05}.parquet"
        self._fs.makedirs(f"{self._root}/{name}", exist_ok=True)
        self._fs.pipe_file(f"{self._root}/{name}/{file}", content)
        rows = sum(len(piece.at) for piece in pieces)
        return Written(file, timeline, rows, hashlib.sha256(content).hexdigest())

    def complete(self, name: str, manifest: Manifest) -> None:
        """Write the manifest: from now on the snapshot is there.

        DataError when an entity was erased since its past began, which it may hold; then it is removed again.
        """
        manifest = msgspec.structs.replace(manifest, digest=_digest_of(manifest))
        path = f"{self._root}/{name}/{MANIFEST}"
        # A folder shows a file while it is written; an object appears when it is whole.
        self._fs.pipe_file(f"{path}.part", msgspec.json.encode(manifest))
        self._fs.mv(f"{path}.part", path)
        # Asked last: an erasure either finds the snapshot, or is found here.
        try:
            self.check(manifest.erased)
        except DataError:
            self.remove([name])
            raise

    def check(self, erased: str | None) -> None:
        """DataError when an entity was erased since `erased` said which erasure was the last."""
        if self.erased() != erased:
            raise DataError("an entity was erased, which this worker may still know: start it again")

    def erased(self) -> str | None:
        """What tells the last erasure from others; None before the first. To be asked before a past begins."""
        try:
            return str(self._fs.cat_file(f"{self._root}/{ERASED}"), "utf-8")
        except FileNotFoundError:
            return None

    def erase(self, now: datetime) -> int:
        """Remove every snapshot, and let nobody complete another whose history began before; how many there were.

        A snapshot does not say which rows are about an entity: rows of other entities hold its events as well.
        """
        self._fs.makedirs(self._root, exist_ok=True)
        self._fs.pipe_file(f"{self._root}/{ERASED}", name_of(now, secrets.token_hex(8)).encode())
        complete = self.names()
        self.remove(self._begun())
        return len(complete)

    def tidy(self, now: datetime) -> None:
        """Remove all but the newest, and what was begun long ago and never completed."""
        complete = self.names()
        begun = [name for name in self._begun() if name not in complete]
        self.remove([*complete[KEPT:], *(name for name in begun if now - (made_at(name) or now) > GIVEN_UP)])

    def remove(self, names: Sequence[str]) -> None:
        """Remove snapshots, complete or not."""
        for name in names:
            with suppress(FileNotFoundError):  # another worker has removed it
                self._fs.rm(f"{self._root}/{name}", recursive=True)


def name_of(now: datetime, who: str) -> str:
    """The name of a snapshot that is begun now; names sort by time."""
    return f"{now.astimezone(UTC).strftime(NAMED)}-{who}"


def made_at(name: str) -> datetime | None:
    """When a snapshot was begun, by its name; None for what is no snapshot."""
    try:
        return datetime.strptime(name.partition("-")[0], NAMED).replace(tzinfo=UTC)
    except ValueError:
        return None


def _digest_of(manifest: Manifest) -> str:
    said = msgspec.to_builtins(msgspec.structs.replace(manifest, digest="")) | {"digest": ""}
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def _encoded(pieces: Sequence[Part]) -> bytes:
    words, columns = pieces[0].ids.shape[1], pieces[0].added.shape[1]
    arrays = {
        "entity": [_firsts(piece) for piece in pieces],
        "at": [piece.at for piece in pieces],
        **{f"id_{word}": [piece.ids[:, word] for piece in pieces] for word in range(words)},
        **{f"added_{column}": [piece.added[:, column] for piece in pieces] for column in range(columns)},
    }
    table = pa.table({name: pa.chunked_array(list(map(pa.array, chunks))) for name, chunks in arrays.items()})
    # Neighbours differ by little: packed differences are smaller than zstd makes them, and five times as quick.
    encodings = {name: "PLAIN" if name == "entity" else "DELTA_BINARY_PACKED" for name in arrays}
    file = io.BytesIO()
    pq.write_table(table, file, compression="none", use_dictionary=False, column_encoding=encodings)
    return file.getvalue()


def _firsts(part: Part) -> pa.Array:
    """The key of each entity on its first row, null on the others."""
    keys, others = np.zeros(len(part.at), np.uint64), np.ones(len(part.at), bool)
    first = np.cumsum(part.sizes) - part.sizes
    keys[first], others[first] = part.keys, False
    return pa.array(keys, mask=others)


def _decoded(content: bytes) -> Part:
    table = pq.read_table(pa.BufferReader(content)).combine_chunks()
    names = table.column_names
    first = np.flatnonzero(table["entity"].is_valid().to_numpy())
    return Part(
        keys=table["entity"].drop_null().to_numpy().copy(),
        sizes=np.diff(np.append(first, table.num_rows)),
        at=table["at"].to_numpy().copy(),
        ids=_matrix(table, [name for name in names if name.startswith("id_")]),
        added=_matrix(table, [name for name in names if name.startswith("added_")]),
    )


def _matrix(table: pa.Table, names: Sequence[str]) -> np.ndarray:
    """Columns side by side, in arrays of the kind for which the kernels are compiled: writable, row after row."""
    found = np.empty((table.num_rows, len(names)), np.int64)
    for column, name in enumerate(names):
        found[:, column] = table[name].to_numpy()
    return found
