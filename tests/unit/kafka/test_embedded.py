"""The embedded broker serves other processes, has the topics it was given, and is gone afterwards."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from confluent_kafka import Consumer, Producer

from streamscore.kafka.embedded import BrokerUnavailable, embedded_broker
from tests.support.apache_kafka.endpoint import poll_until
from tests.support.paths import ROOT

OWNER = """
import time
from confluent_kafka import Producer
from streamscore.kafka.embedded import embedded_broker
with embedded_broker({"events": 1}) as bootstrap:
    try:
        print(bootstrap, flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        # A broker that the interrupt reached would be gone before half a second is over.
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            topics = Producer({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=5).topics
        print(*topics)
"""


def start_owner() -> tuple[subprocess.Popen[str], str]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True, process_group=0
    )
    assert owner.stdout is not None
    return owner, owner.stdout.readline().strip()


def refuses(bootstrap: str) -> bool:
    host, port = bootstrap.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def test_records_travel_through_it() -> None:
    """What one client of another process produces, another client of another process consumes."""
    with embedded_broker({"events": 1}) as bootstrap:
        client = {"bootstrap.servers": bootstrap, "log_level": 0}
        producer = Producer(client)
        producer.produce("events", b"value", key=b"key", headers=[("h", b"1")])
        assert producer.flush(10) == 0
        group = {"group.id": "readers", "auto.offset.reset": "earliest", "fetch.wait.max.ms": 5}
        with Consumer(client | group) as consumer:
            consumer.subscribe(["events"])
            message = consumer.poll(10)
    assert message is not None
    assert message.error() is None
    assert (message.key(), message.value(), message.headers()) == (b"key", b"value", [("h", b"1")])


def test_topics_have_the_chosen_partitions() -> None:
    """Every topic is there before any client asks, with exactly the partitions it was given."""
    chosen = {"events": 3, "scores": 12, "labels": 1}
    with embedded_broker(chosen) as bootstrap:
        metadata = Producer({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=10)
    assert {name: len(topic.partitions) for name, topic in metadata.topics.items()} == chosen


def test_it_says_that_it_is_a_mock() -> None:
    """Its cluster id lets a worker refuse to promise exactly-once on it."""
    with embedded_broker({}) as bootstrap:
        metadata = Producer({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=10)
    assert str(metadata.cluster_id).startswith("mockCluster")


def test_it_is_gone_after_the_context() -> None:
    """Nobody listens at its address once the context has ended, also when it ended by an error."""
    with pytest.raises(KeyError), embedded_broker({"events": 1}) as bootstrap:  # noqa: PT012
        assert not refuses(bootstrap)
        raise KeyError
    assert refuses(bootstrap)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_owner(end: signal.Signals) -> None:
    """The broker does not outlive the process that started it, however that process ends."""
    owner, bootstrap = start_owner()
    with owner:
        assert not refuses(bootstrap)
        owner.send_signal(end)
    poll_until(lambda: refuses(bootstrap), 10, lambda: "the broker outlived its owner")


def test_ctrl_c_in_the_terminal_leaves_it_to_its_owner() -> None:
    """An interrupt of the owner's process group does not reach the broker, so a last commit is still served."""
    owner, _ = start_owner()
    os.killpg(owner.pid, signal.SIGINT)
    assert owner.communicate(timeout=30)[0] == "events\n"


def test_a_topic_it_cannot_have_is_refused() -> None:
    """A topic without partitions is an error that names the topic, not a broker that never answers."""
    with pytest.raises(BrokerUnavailable, match="'empty' with 0 partitions"), embedded_broker({"empty": 0}):
        pass
