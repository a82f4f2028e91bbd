"""The Kafka that every guarantee is tested on is a real one: it keeps records, offsets and its data."""

import uuid
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Message, Producer

from tests.support.apache_kafka.cluster import Cluster
from tests.support.apache_kafka.endpoint import Endpoint, poll_until

pytestmark = pytest.mark.kafka

Topic = Callable[..., str]


def send(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(30) == 0


def receive(consumer: Consumer, count: int) -> list[Message]:
    received: list[Message] = []

    def complete() -> bool:
        message = consumer.poll(0.1)
        if message is not None:
            assert message.error() is None
            received.append(message)
        return len(received) >= count

    poll_until(complete, 30, lambda: f"{len(received)} of {count} records came")
    return received


def member(bootstrap: str, topic: str, group: str) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    return consumer


def test_a_produced_record_is_read_back(kafka: Endpoint, topic: Topic) -> None:
    """A record that Kafka acknowledged is read back, byte for byte."""
    name = topic()
    send(kafka.bootstrap, name, b"\x00 a record \xff")
    with member(kafka.bootstrap, name, uuid.uuid4().hex) as consumer:
        assert [message.value() for message in receive(consumer, 1)] == [b"\x00 a record \xff"]


def test_a_topic_has_the_partitions_it_was_given(kafka: Endpoint, topic: Topic) -> None:
    """The `topic` fixture gives unique names and the asked number of partitions."""
    one, three = topic(), topic(partitions=3)
    assert one != three
    with member(kafka.bootstrap, one, uuid.uuid4().hex) as consumer:
        topics = consumer.list_topics(timeout=10).topics
    assert (len(topics[one].partitions), len(topics[three].partitions)) == (1, 3)


def test_committed_offsets_survive_a_reconnect(kafka: Endpoint, topic: Topic) -> None:
    """A new member of a group goes on at the offset that the last one committed."""
    name, group = topic(), uuid.uuid4().hex
    send(kafka.bootstrap, name, b"0", b"1", b"2")
    with member(kafka.bootstrap, name, group) as first:
        first.commit(message=receive(first, 2)[1], asynchronous=False)
    with member(kafka.bootstrap, name, group) as second:
        assert receive(second, 1)[0].offset() == 2


@pytest.mark.slow
@pytest.mark.parametrize("hard", [False, True], ids=["stopped", "killed"])
def test_a_node_keeps_its_data(own_kafka: Cluster, hard: bool) -> None:
    """A node that was stopped in order, or killed, comes back with the records it had acknowledged."""
    own_kafka.create_topic("kept")
    send(own_kafka.bootstrap, "kept", b"before")
    own_kafka.stop_broker(hard=hard)
    own_kafka.start_broker()
    send(own_kafka.bootstrap, "kept", b"after")
    with member(own_kafka.bootstrap, "kept", "readers") as consumer:
        assert [message.value() for message in receive(consumer, 2)] == [b"before", b"after"]
