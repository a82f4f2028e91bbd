"""Simulated events as they would arrive now: sent to Kafka at a rate, stamped with the present."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from streamscore.core.events.event_type import EventType
from streamscore.errors import BrokerError
from streamscore.kafka.clients import producer
from streamscore.kafka.produce import flushed, hand_over
from streamscore.settings.schema import Kafka
from streamscore.simulator import streams as simulator
from streamscore.simulator.streams import Simulated

# Events are drawn a second at a time and sent in slices: 50 slices a second look like a stream.
SLICE_SECONDS = 0.02
# After the stream was stopped: how long Kafka may take to acknowledge the last of it.
STOP_SECONDS = 15.0

GENERATORS: Mapping[str, Callable[..., Simulated]] = {
    "transaction": simulator.transactions,
    "application": simulator.applications,
}


class Flow(NamedTuple):
    """A stream to simulate: which events, to which topic, how many a second."""

    event_type: EventType
    topic: str
    rate: float


class Sent(NamedTuple):
    """One message on its way, and the id by which it is found again."""

    event_id: str
    topic: str
    key: bytes
    value: bytes


def events(flow: Flow, seed: int) -> Iterator[list[Sent]]:
    """A second's worth of a flow at each step, without end; stamped with the time at which it is drawn."""
    first = 0
    owed = 0.0
    while True:
        owed += flow.rate
        rows, owed = int(owed), owed - int(owed)
        now = time.time_ns() // 1000
        drawn = _stamped(GENERATORS[flow.event_type.name](max(1, rows), now, flow.rate, seed, first), now)
        first += len(drawn.label)
        columns = drawn.columns["event_id"], simulator.keys(flow.event_type, drawn)
        rows_of = zip(*columns, simulator.json_lines(flow.event_type, drawn), strict=True)
        yield [Sent(event_id, flow.topic, key, value) for event_id, key, value in rows_of][:rows]


def _stamped(drawn: Simulated, now: int) -> Simulated:
    """The simulator's days have a rhythm; a live stream has the clock's own time, spread over the past second."""
    rows = len(drawn.label)
    return replace(drawn, columns={**drawn.columns, "occurred_at": now - np.arange(rows, 0, -1) * (1_000_000 // rows)})


def send(
    kafka: Kafka, drawing: list[Iterator[list[Sent]]], going: Callable[[], bool], on_sent: Callable[[Sent], None]
) -> None:
    """Send what is drawn, a second's worth a second, while `going()`; returns when all is acknowledged.

    `on_sent` hears of each message just before it is handed over. BrokerError when one is refused.
    """
    failures: list[str] = []
    client = producer(kafka, lambda _: None, lambda error, _: failures.append(error.str()))
    second = time.monotonic()
    while going():
        messages = [message for flow in drawing for message in next(flow, [])]
        slices = round(1 / SLICE_SECONDS)
        for number in range(slices):
            for message in messages[number::slices]:
                if not going():
                    break
                on_sent(message)
                hand_over(client, message.topic, message.key, message.value, failures)
            time.sleep(max(0.0, second + (number + 1) * SLICE_SECONDS - time.monotonic()))
            if not going():
                break
        second = max(second + 1, time.monotonic() - 1)  # a machine that sleeps is not made up for in one burst
    left = flushed(client, failures, STOP_SECONDS)
    if failures or left:
        raise BrokerError(f"an event was not taken: {failures[0]}" if failures else f"{left} are not acknowledged")
    client.close()
