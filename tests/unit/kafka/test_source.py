"""The source while no broker says where partitions start: nothing begins, and the listener hears of nothing."""

import logging
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streamscore.core.events.record import Partition
from streamscore.kafka.listener import RebalanceListener
from streamscore.kafka.source import KafkaSource
from streamscore.kafka.start_offsets import Start
from streamscore.settings.schema import Kafka

ASSIGNED: Partition = ("payments", 0)


def unknown(*_: object) -> Mapping[Partition, Start]:
    return {}


def unreachable(*_: object) -> Mapping[Partition, Start]:
    raise KafkaException(KafkaError(KafkaError._TRANSPORT))


@pytest.mark.parametrize("starts", [unknown, unreachable])
def test_a_partition_whose_start_is_unknown_begins_nothing(starts: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It stays assigned and is asked for again; no reading is announced, however many turns an outage lasts."""
    heard: list[Collection[Partition]] = []
    source = KafkaSource(Kafka(bootstrap="127.0.0.1:1", start_from="latest"), ["payments"])
    with caplog.at_level(logging.CRITICAL):
        source.join(RebalanceListener(reading=heard.append, starts=starts))
        source._group.assigned = [ASSIGNED]
        for _ in range(3):
            source.poll_group()
    assert source._group.assigned == [ASSIGNED]
    assert heard == []
    assert not source.owned
    source.close()
