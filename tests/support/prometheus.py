"""Prometheus and promtool: from the PATH, else from the Debian package, unpacked and not installed."""

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.paths import ROOT

CACHE = ROOT / ".cache" / "prometheus"
FETCH_SECONDS = 120


class PrometheusUnavailable(RuntimeError):
    """There is no Prometheus here, and it cannot be fetched."""


def program(name: str) -> Path:
    """The path of `prometheus` or `promtool`; PrometheusUnavailable when there is none to be had."""
    installed = shutil.which(name)
    return Path(installed) if installed else _unpacked() / "usr" / "bin" / name


def _unpacked() -> Path:
    folder = CACHE / "package"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    # Renamed only when complete, so an interrupted fetch is never mistaken for a finished one.
    with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
        _run("apt-get", "download", "prometheus", folder=unfinished)
        (package,) = Path(unfinished).glob("prometheus_*.deb")
        _run("dpkg-deb", "-x", package.name, "package", folder=unfinished)
        Path(unfinished, "package").rename(folder)


def _run(*command: str, folder: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PrometheusUnavailable(f"it is not installed, and {command[0]} cannot fetch it: {error}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PrometheusUnavailable(f"it is not installed, and {command[0]} cannot fetch it: {last}")
