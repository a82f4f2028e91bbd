"""The model store: immutable bundle directories and the aliases that point to them.

    <store>/<event type>/<version>/manifest.json model.keras scaler.json golden.npz card.md report.html
    <store>/<event type>/aliases/champion|challenger|previous        a file holding a version;
                                                                     that of `previous` also the one before it
    <store>/<event type>/comparisons/<version>.json                  how a challenger stood beside the champion
    <store>/<event type>/training                                    the lock of whoever trains or compares

A bundle is trusted only after every file has the digest its manifest gives and its golden rows
come out as promised. Any fsspec URL will do: a folder, S3, GCS.
"""

import glob
import json
import logging
import os
import re
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.bundle import Manifest
from streamscore.errors import BundleError, StoreUnreachable, first_line
from streamscore.files.storage import open_url, reason
from streamscore.models.bundle_files import (
    GOLDEN,
    MANIFEST,
    NETWORK,
    SCALER,
    Alias,
    BundleFiles,
    digest,
    manifest_digest,
)
from streamscore.models.lock import locked
from streamscore.registry import find_event_type

if TYPE_CHECKING:
    from streamscore.models.model import Model

Device = Literal["auto", "cpu", "gpu"]
log = logging.getLogger("streamscore.store")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class ModelStore:
    """The bundles and aliases of one event type under a store's URL.

    `url` is a folder or any fsspec URL; `event_type` is the event type, or its name. SettingsError when the URL names
    no file system; StoreUnreachable, from any method, when the store does not answer.

        >>> store = streamscore.ModelStore(models, "transaction")
        >>> store.alias("champion") == store.load().version
        True
    """

    def __init__(self, url: str | os.PathLike[str], event_type: EventType | str) -> None:
        self._fs, root = open_url(os.fspath(url), "a model store")
        self._warned: set[str] = set()  # said once: who watches a store asks every few seconds
        self._event_type = event_type
        self._root = f"{root}/{event_type if isinstance(event_type, str) else event_type.name}"

    def load(self, version: str = "champion", *, device: Device = "auto") -> "Model":
        """The model of a version, or of an alias such as `champion`, verified and compiled. Takes some seconds.

        BundleError when there is none, or it cannot be trusted.
        """
        from streamscore.models.model import model_of  # noqa: PLC0415  who only lists versions waits for no pandas

        event_type = self._event_type if isinstance(self._event_type, EventType) else find_event_type(self._event_type)
        return model_of(self, event_type, version, device)

    def bundles(self) -> dict[str, Manifest | BundleError]:
        """What every bundle says of itself, oldest first, then why some cannot be read; none that is unfinished."""
        try:
            found = self._fs.glob(f"{glob.escape(self._root)}/*/{MANIFEST}")
        except Exception as error:
            raise _unreachable("read", error) from None
        bundles = {version: self._told(version) for version in sorted(Path(path).parent.name for path in found)}
        return dict(sorted(bundles.items(), key=_age))

    def versions(self) -> list[str]:
        """Every bundle whose manifest can be read, oldest first; a warning tells of others."""
        bundles = self.bundles()
        for version, found in bundles.items():
            if isinstance(found, BundleError) and version not in self._warned:
                self._warned.add(version)
                log.warning("a bundle is left out: %s", found)
        return [version for version, found in bundles.items() if isinstance(found, Manifest)]

    def manifest(self, version: str) -> Manifest:
        """What a bundle says of itself; its other files are not looked at."""
        try:
            return Manifest.model_validate_json(self._read(version, MANIFEST))
        except ValidationError as error:
            raise BundleError(f"{version}: {MANIFEST} is not a manifest: {first_line(error)}") from None

    def read(self, version: str) -> BundleFiles:
        """A bundle whose every file has the digest of its manifest, or BundleError saying which has not."""
        manifest = self.manifest(version)
        if manifest.version != version:
            raise BundleError(f"{version}: the manifest is that of {manifest.version}")
        missing = {NETWORK, SCALER, GOLDEN} - manifest.files.keys()
        if missing:
            raise BundleError(f"{version}: the manifest lists no {', '.join(sorted(missing))}")
        files = {name: self._read(version, name) for name in manifest.files}
        if manifest.digest != manifest_digest(manifest):
            raise BundleError(f"{version}: {MANIFEST} does not have the digest that it gives")
        for name, content in files.items():
            if digest(content) != manifest.files[name]:
                raise BundleError(f"{version}: {name} does not have the digest its manifest gives")
        return BundleFiles(manifest, files)

    def write(self, manifest: Manifest, files: dict[str, bytes]) -> Manifest:
        """Add a bundle. The manifest, with the digests, is written last: without it nothing is there."""
        if self._fs.exists(f"{self._root}/{manifest.version}/{MANIFEST}"):
            raise BundleError(f"{manifest.version} is already in the store, and bundles are immutable")
        manifest = manifest.model_copy(update={"files": {name: digest(content) for name, content in files.items()}})
        manifest = manifest.model_copy(update={"digest": manifest_digest(manifest)})
        self._fs.makedirs(f"{self._root}/{manifest.version}", exist_ok=True)
        for name, content in files.items():
            self._replace(f"{self._root}/{manifest.version}/{name}", content)
        text = json.dumps(manifest.model_dump(mode="json"), indent=2)
        self._replace(f"{self._root}/{manifest.version}/{MANIFEST}", text.encode())
        return manifest

    def alias(self, name: Alias) -> str | None:
        """The version an alias points to, or None. `previous` is the first of its file that is not the champion."""
        held = self._held(f"aliases/{name}")
        if held is None:
            return None
        versions = held.split("\n") if name == "previous" else [held]
        if not all(map(VERSION.fullmatch, versions)):
            raise BundleError(f"alias {name} does not hold a version")
        if name != "previous":
            return held
        champion = self.alias("champion")
        return next((version for version in versions if version != champion), None)

    def point(self, name: Alias, version: str) -> None:
        """Point an alias to a complete bundle, atomically."""
        self.manifest(version)
        self._set_alias(name, version)

    def promote(self, version: str) -> None:
        """Make a verified bundle champion, no longer challenger, the one before `previous`; mend damaged aliases."""
        self.read(version)
        champion = self._held("aliases/champion")
        if champion != version:
            if champion and VERSION.fullmatch(champion):
                # The one before stays in the file: until the champion is written, it goes on being `previous`.
                held = (self._held("aliases/previous") or "").split()
                before = [one for one in held if one != champion and VERSION.fullmatch(one)]
                # Not looked at: a damaged champion must not keep a good one from its place.
                self._set_alias("previous", "\n".join([champion, *before[:1]]))
            self._set_alias("champion", version)
        if self._held("aliases/challenger") == version:
            self._remove(f"{self._root}/aliases/challenger")

    def rollback(self) -> str:
        """Make `previous` the champion again and return it; the two aliases change places."""
        previous = self.alias("previous")
        if previous is None:
            raise BundleError("there is no previous champion to roll back to")
        self.promote(previous)
        return previous

    def note(self, version: str, content: bytes) -> None:
        """Keep what was last found of a bundle, which is immutable itself, in `comparisons/<version>.json`."""
        self._fs.makedirs(f"{self._root}/comparisons", exist_ok=True)
        self._replace(f"{self._root}/comparisons/{version}.json", content)

    def noted(self, version: str) -> str | None:
        """What `note` kept of a bundle."""
        return self._held(f"comparisons/{version}.json")

    def alone(self, now: datetime) -> AbstractContextManager[None]:
        """While it lasts nobody else trains or compares for this store; BundleError when somebody does."""
        return locked(self._fs, f"{self._root}/training", now)

    def _held(self, path: str) -> str | None:
        try:
            return str(self._fs.cat_file(f"{self._root}/{path}").decode("ascii", "replace")).strip()
        except FileNotFoundError:
            return None
        except Exception as error:
            raise _unreachable("read", error) from None

    def _remove(self, path: str) -> None:
        try:
            self._fs.rm_file(path)
        except Exception as error:
            raise _unreachable("written", error) from None

    def _set_alias(self, name: Alias, held: str) -> None:
        self._fs.makedirs(f"{self._root}/aliases", exist_ok=True)
        self._replace(f"{self._root}/aliases/{name}", held.encode())

    def _told(self, version: str) -> Manifest | BundleError:
        try:
            return self.manifest(version)
        except StoreUnreachable:
            raise
        except BundleError as error:
            return error

    def _read(self, version: str, name: str) -> bytes:
        if not VERSION.fullmatch(version) or not VERSION.fullmatch(name):
            raise BundleError(f"{version!r}/{name!r} is not the name of a bundle's file")
        try:
            return bytes(self._fs.cat_file(f"{self._root}/{version}/{name}"))
        except FileNotFoundError:
            if name == MANIFEST:
                raise BundleError(f"{version}: there is no such bundle: {MANIFEST} is missing") from None
            raise BundleError(f"{version}: {name} is missing") from None
        except Exception as error:
            raise _unreachable("read", error) from None

    def _replace(self, path: str, content: bytes) -> None:
        """Write a whole file or nothing: object stores do so by themselves, a folder by a rename."""
        try:
            if "file" not in self._fs.protocol:
                self._fs.pipe_file(path, content)
                return
            temporary = f"{path}.{os.getpid()}.part"
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except Exception as error:
            raise _unreachable("written", error) from None


def _age(bundle: tuple[str, Manifest | BundleError]) -> tuple[bool, str]:
    found = bundle[1]
    return (False, found.trained_at.isoformat()) if isinstance(found, Manifest) else (True, "")


def _unreachable(how: str, error: Exception) -> StoreUnreachable:
    return StoreUnreachable(f"the model store cannot be {how}: {reason(error)}")


def load_model(
    store: str | os.PathLike[str], event_type: EventType | str, version: str = "champion", *, device: Device = "auto"
) -> "Model":
    """A model of a store, ready to score: verified, compiled, and its golden rows reproduced. Takes some seconds.

    `store` is a folder or any fsspec URL. `event_type` is an EventType, its name, or `module:NAME`. `version` is a
    version or one of the aliases champion, challenger and previous. `device` auto takes a GPU where there is one.
    BundleError when there is no such model, or it cannot be trusted; StoreUnreachable when the store does not answer;
    SettingsError for an unknown event type, or a GPU that is not there.

        >>> model = streamscore.load_model(models, "transaction")
        >>> model.score(streamscore.testing.events_of(model.event_type, 3, seed=1)).shape
        (3, 3)
    """
    found = find_event_type(event_type) if isinstance(event_type, str) else event_type
    return ModelStore(store, found).load(version, device=device)
