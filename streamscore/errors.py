"""What can go wrong with the process, and what it does about it. A bad event is never one of these.

StreamScoreError
├─ SettingsError    a setting is missing, unknown or unsafe: refuse to start           exit 3
├─ BundleError      a model cannot be trusted: keep the champion; without one, refuse  exit 4
│  └─ StoreUnreachable  the model store does not answer: no verdict on a bundle, try again
├─ BrokerError      Kafka refuses for good, e.g. no such topic, no permission          exit 5
├─ OffsetsExpired   events were deleted before they were read: an operator chooses     exit 6
├─ DrainTimeout     stopping took too long; what was not committed is read again       exit 7
└─ DataError        a file or archive is not what it should be                         exit 8
   └─ ArchiveUnreachable  the archive's storage does not answer: the archiver tries again
"""

import difflib
from collections.abc import Iterable, Sequence


class StreamScoreError(Exception):
    """The root; `exit_code` is what the process ends with."""

    exit_code = 1


class SettingsError(StreamScoreError):
    """A setting is missing, unknown or unsafe."""

    exit_code = 3


class BundleError(StreamScoreError):
    """A model is not there, or cannot be trusted."""

    exit_code = 4


class StoreUnreachable(BundleError, OSError):
    """An OSError too, for whoever tries again."""


class BrokerError(StreamScoreError):
    """Kafka refuses for good."""

    exit_code = 5


class OffsetsExpired(StreamScoreError):
    """Events were deleted before they were read."""

    exit_code = 6


class DrainTimeout(StreamScoreError):
    """Outputs were not acknowledged in time at a stop; their events are scored again."""

    exit_code = 7


class DataError(StreamScoreError):
    """A file, an archive or a frame is not what it should be."""

    exit_code = 8


class ArchiveUnreachable(DataError, OSError):
    """An OSError too, for whoever tries again."""


def did_you_mean(name: str, known: Iterable[str], path: Sequence[str] = ()) -> str | None:
    """The question after the nearest of the known names, which stand below a dotted path; None where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {'.'.join([*path, *near])}?" if near else None


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its kind when it says nothing."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
