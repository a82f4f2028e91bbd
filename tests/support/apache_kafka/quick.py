"""How Java starts a node of Apache Kafka in 2 s instead of 5: what it costs in speed later, tests do not need.

Measured on two cores, processor seconds of one node until it is ready: 7.2 as Java does by itself, 4.3 with the first
options, 2.2 with the archive of classes too.
"""

import fcntl
from collections.abc import Sequence

from tests.support.apache_kafka.cluster import RECORD_CLASSES, Cluster
from tests.support.apache_kafka.jars import CACHE, fetch_jars, java_release

# Only the first of Java's two compilers, and the garbage collector that needs no threads.
LIGHT = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


def quick_options() -> Sequence[str]:
    """Options of Java, with an archive of the loaded classes that the first call makes."""
    archive = CACHE / f"{fetch_jars().name}-java-{java_release()}.jsa"
    with (CACHE / "classes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            unfinished = archive.with_suffix(".unfinished")
            with Cluster(options=(*LIGHT, f"{RECORD_CLASSES}{unfinished}")) as node:
                node.stop_broker()  # in order: Java writes the archive when it ends
            if unfinished.exists():
                unfinished.rename(archive)
    # A Java that cannot use the file says so in its log and goes on without it.
    return (*LIGHT, f"-XX:SharedArchiveFile={archive}")
