"""An embedded broker for `make demo` and for fast tests: there in a tenth of a second, and gone afterwards.

It is librdkafka's mock cluster in a process of its own, and it is NOT Apache Kafka:

- it keeps at most 5 MiB per partition and silently drops what is older; nothing outlives the process;
- it shows records of open and of aborted transactions to everybody, whatever the isolation level;
- it acknowledges offsets sent in a transaction and forgets them, and never fences a second producer;
- it does not remove the duplicates of an idempotent producer's retries;
- it has no TLS, no passwords, no access rights, and listens on the loopback interface only.

So no delivery guarantee is ever tested on it. Its cluster id starts with `mockCluster`.
"""

import ctypes
import json
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import cimpl

# Starting takes less than 0.1 s, nearly all of it imports; the rest is for a machine that is busy.
START_SECONDS = 20.0
# A demo should show a take-over while one watches; the mock's own times are ten times as long.
GROUP_SESSION_MS = 3000
GROUP_HEARTBEAT_MS = 300

_RD_KAFKA_PRODUCER = 0


class BrokerUnavailable(RuntimeError):
    """The embedded broker could not be started."""


@contextmanager
def embedded_broker(topics: Mapping[str, int]) -> Iterator[str]:
    """Run a broker that has these topics, each with so many partitions; yields its bootstrap address.

    The broker lives as long as the context, and never longer than this process.
    """
    # By path, so that it starts from any folder; -P, or this folder's names would hide the standard library's. A
    # session of its own, so that Ctrl-C ends this process first and the broker still serves its last commit.
    child = subprocess.Popen(
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with child:
        try:
            yield _address(child, topics)
        finally:
            child.kill()


def _address(child: subprocess.Popen[str], topics: Mapping[str, int]) -> str:
    """Tell the child its topics and wait for where it listens."""
    if child.stdin is None or child.stdout is None:
        raise BrokerUnavailable("the embedded broker has no pipes")
    child.stdin.write(json.dumps(dict(topics)) + "\n")
    child.stdin.flush()
    answered, _, _ = select.select([child.stdout], [], [], START_SECONDS)
    if not answered:
        raise BrokerUnavailable(f"the embedded broker did not answer within {START_SECONDS:.0f} s")
    line = child.stdout.readline()
    if not line:
        raise BrokerUnavailable(f"the embedded broker ended with code {child.wait()} before it gave its address")
    answer = json.loads(line)
    if "error" in answer:
        raise BrokerUnavailable(f"the embedded broker could not start: {answer['error']}")
    return str(answer["bootstrap"])


def start_mock_cluster(topics: Mapping[str, int]) -> str:
    """Start a mock cluster with one node in this process; it stays until the process ends.

    The Python client has no call for this, but its extension module exports librdkafka's. They are declared
    experimental there: a name that is gone is reported as `BrokerUnavailable`.
    """
    library = ctypes.CDLL(cimpl.__file__)
    try:
        return _start(library, topics)
    except AttributeError as error:
        raise BrokerUnavailable(f"this confluent-kafka does not export the mock cluster: {error}") from error


def _start(library: ctypes.CDLL, topics: Mapping[str, int]) -> str:
    # Pointers are 64 bits wide, and without these ctypes would cut them to 32.
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p

    reason = ctypes.create_string_buffer(512)
    configuration = ctypes.c_void_p(library.rd_kafka_conf_new())
    # Errors only: that this client has no broker to connect to is no news here.
    library.rd_kafka_conf_set(configuration, b"log_level", b"3", reason, ctypes.sizeof(reason))
    handle = ctypes.c_void_p(library.rd_kafka_new(_RD_KAFKA_PRODUCER, configuration, reason, ctypes.sizeof(reason)))
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(handle, 1)) if handle else None
    if not cluster:
        raise BrokerUnavailable(reason.value.decode() or "librdkafka made no mock cluster")
    library.rd_kafka_mock_set_group_consumer_session_timeout_ms(cluster, GROUP_SESSION_MS)
    library.rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(cluster, GROUP_HEARTBEAT_MS)
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
    for topic, partitions in topics.items():
        if partitions < 1 or library.rd_kafka_mock_topic_create(cluster, topic.encode(), partitions, 1):
            raise BrokerUnavailable(f"it takes no topic {topic!r} with {partitions} partitions")
    bootstrap: bytes = library.rd_kafka_mock_cluster_bootstraps(cluster)
    return bootstrap.decode()


def main() -> int:
    """Read the topics from standard input, print the address, and stay until standard input is closed."""
    try:
        answer = {"bootstrap": start_mock_cluster(json.loads(sys.stdin.readline()))}
    except BrokerUnavailable as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
    # The parent never writes again: this returns when it closes the pipe or dies.
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
