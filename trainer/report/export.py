"""The report of a bundle in a folder: its page as it is in the bundle, and the page's plots as PNGs."""

import base64
import re
from pathlib import Path

from streamscore.errors import BundleError, DataError
from streamscore.models.bundle_files import REPORT, BundleFiles

# As `page` writes them: what else a page might hold is left alone.
PICTURE = re.compile(rb'<img id="([a-z-]{1,40})"[^>]* src="data:image/png;base64,([A-Za-z0-9+/=]+)">')


def place_for(folder: Path) -> None:
    """Make the folder; DataError when it cannot be one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made: {error.strerror or error}") from None


def exported(bundle: BundleFiles, folder: Path) -> list[Path]:
    """Write page and pictures, and return their paths; BundleError when the bundle has no report."""
    if REPORT not in bundle.files:
        raise BundleError(f"{bundle.manifest.version} has no {REPORT}: it is from before reports were made")
    page = bundle.files[REPORT]
    files = {REPORT: page} | {
        f"{name.decode()}.png": base64.b64decode(picture) for name, picture in PICTURE.findall(page)
    }
    place_for(folder)
    try:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise DataError(f"the report cannot be written to {folder}: {error.strerror or error}") from None
    return [folder / name for name in files]
