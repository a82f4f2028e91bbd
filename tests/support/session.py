"""What the processes of one test run share: a folder, which pytest removes after a few later runs."""

from pathlib import Path

_folder: list[Path] = []


def share(folder: Path) -> None:
    """Say which folder all processes of this test run see."""
    _folder.append(folder)


def is_shared() -> bool:
    """Whether this process runs tests; programs of `make bench` and `make evidence` use the same support."""
    return bool(_folder)


def folder_of_all_processes(name: str) -> Path | None:
    """A folder of that name which all processes of the test run share; None outside pytest."""
    if not _folder:
        return None
    shared = _folder[-1] / name
    shared.mkdir(exist_ok=True)
    return shared
