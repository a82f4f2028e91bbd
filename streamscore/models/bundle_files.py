"""The files of a bundle: what each is called, and a bundle's bytes once their digests are verified."""

import hashlib
import io
import json
from typing import Literal, NamedTuple, Protocol

import numpy as np
from pydantic import ValidationError

from streamscore.core.scoring.bundle import Golden, Manifest
from streamscore.core.scoring.scaler import Scaler
from streamscore.errors import BundleError, first_line

MANIFEST, NETWORK, SCALER, GOLDEN = "manifest.json", "model.keras", "scaler.json", "golden.npz"


Alias = Literal["champion", "challenger", "previous"]
CARD, REPORT = "card.md", "report.html"  # for people; a bundle loads without them


class BundleFiles(NamedTuple):
    """A bundle as it lies in the store, its digests verified, its network not yet loaded."""

    manifest: Manifest
    files: dict[str, bytes]

    @property
    def scaler(self) -> Scaler:
        try:
            return Scaler.model_validate_json(self.files[SCALER])
        except ValidationError as error:
            raise BundleError(f"{self.manifest.version}: {SCALER} is not a scaler: {first_line(error)}") from None

    @property
    def golden(self) -> Golden:
        try:
            with np.load(io.BytesIO(self.files[GOLDEN]), allow_pickle=False) as arrays:
                events = [bytes(event) for event in arrays["events"].tolist()]
                return Golden(events, arrays["matrix"], arrays["risks"])
        except Exception as error:  # zipfile and numpy raise whatever the bytes made them stumble over
            raise BundleError(f"{self.manifest.version}: {GOLDEN} cannot be read: {first_line(error)}") from None


def digest(content: bytes) -> str:
    """The sha256 of a file's bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def manifest_digest(manifest: Manifest) -> str:
    """The sha256 of everything that a manifest says besides it: thresholds decide, and no other file holds them."""
    said = manifest.model_dump(mode="json", exclude={"digest"})
    return digest(json.dumps(said, sort_keys=True).encode())


class BundleReader(Protocol):
    """What loading asks of a store: where an alias points, and the verified files of a version."""

    def alias(self, name: Alias) -> str | None: ...
    def read(self, version: str) -> BundleFiles: ...
