"""Where bundles and snapshots are kept: a folder, or any URL that fsspec opens, such as S3 or GCS."""

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from streamscore.errors import SettingsError, first_line


def open_url(url: str, what: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a URL, and the path on it; SettingsError says that `what` cannot be opened there."""
    try:
        fs, root = url_to_fs(url)
    except Exception as error:  # the file systems of fsspec raise whatever they like
        scheme = url.partition("://")[0]  # the rest can hold a password
        raise SettingsError(f"{what} at {scheme}:// cannot be opened: {first_line(error)}") from None
    return fs, str(root).rstrip("/")


def reason(error: Exception) -> str:
    """Why storage failed: the system's words for an error number, else the first line of the error."""
    return getattr(error, "strerror", None) or first_line(error)
