"""The manifest of a snapshot on disk keeps the names of its fields, so that snapshots of another release are read."""

import msgspec

from streamscore.core.scoring.stream_history import Checkpoint
from streamscore.recovery.snapshot_store import Manifest


def test_fields_of_a_manifest_keep_their_names() -> None:
    """The JSON of a manifest has the keys that every release wrote."""
    point = Checkpoint([], [], [], [], [], [], 0.0, 0.0, 0)
    # The digest is left out while it is empty: it covers all that is written beside it.
    written = msgspec.to_builtins(Manifest("type", {}, point, point, [], "key", "erasure"))
    assert list(written) == ["declaration", "topics", "before", "after", "parts", "naming", "erased"]
    assert written["naming"] == "key"
