"""The jars of Apache Kafka, fetched with Maven once and kept in the repository's cache folder."""

import fcntl
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.paths import ROOT

POM = Path(__file__).with_name("pom.xml")
CACHE = ROOT / ".cache" / "kafka"
FETCH_SECONDS = 600


class KafkaUnavailable(RuntimeError):
    """This machine cannot run Apache Kafka from its jars."""


def kafka_version() -> str:
    """The version of Apache Kafka that the tests run."""
    return str(re.findall(r"<kafka.version>(.+)</kafka.version>", POM.read_text())[0])


def fetch_jars() -> Path:
    """The folder of Kafka's jars, fetched with Maven when they are not there yet."""
    if java_release() < 17:
        raise KafkaUnavailable("Kafka needs Java 17 or newer, and there is none on the PATH")
    folder = CACHE / kafka_version()
    CACHE.mkdir(parents=True, exist_ok=True)
    # One at a time: Maven's own repository is not made for two writers.
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    if not shutil.which("mvn"):
        raise KafkaUnavailable("Kafka's jars are fetched with Maven, and there is no mvn on the PATH")
    # Renamed only when complete, so an interrupted fetch is never mistaken for a finished one.
    with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={unfinished}/jars"]
        command = ["mvn", "-q", "-B", "-f", str(POM), *goal]
        maven = subprocess.run(command, check=False, capture_output=True, text=True, timeout=FETCH_SECONDS)
        if maven.returncode:
            raise KafkaUnavailable(f"Maven could not fetch Kafka's jars: {maven.stdout[-2000:]}")
        (Path(unfinished) / "jars").rename(folder)


def java_release() -> int:
    """The release of the Java on the PATH, 0 where there is none."""
    if not shutil.which("java"):
        return 0
    answer = subprocess.run(["java", "-version"], check=False, capture_output=True, text=True).stderr
    release = re.search(r'version "(\d+)', answer)
    return int(release[1]) if release else 0
