"""The demo's books: what was sent, and what an independent consumer saw come out."""

import threading
import time
from collections import Counter, deque
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Consumer, TopicPartition

from streamscore.settings.schema import Kafka
from streamscore.simulator.live import Sent

# Ids remembered to find one that comes twice: minutes of the stream, and bounded when it never ends.
REMEMBERED = 500_000
RECENT_AGES = 5_000
RECENT_ALERTS = 8


class Books:
    """Counts by event id. Written by the sender's and the observer's thread, read by the view's."""

    def __init__(self) -> None:
        self.closing = threading.Event()
        self.counts: Counter[str] = Counter(sent=0, scored=0, dead_letters=0, duplicates=0, alerts=0)
        self.decisions: Counter[str] = Counter()
        self.alerts: deque[dict[str, Any]] = deque(maxlen=RECENT_ALERTS)
        self.ages: deque[float] = deque(maxlen=RECENT_AGES)
        self.models: dict[str, str] = {}
        self.first_score = self._last_out = 0.0
        self._waiting: dict[str, float] = {}
        self._seen: dict[str, None] = {}

    def sent(self, message: Sent) -> None:
        """A message is about to be handed to Kafka."""
        self._waiting[message.event_id] = time.monotonic()
        self.counts["sent"] += 1

    def scored(self, score: dict[str, Any]) -> None:
        """A score was read from its topic."""
        self._came_out(str(score["event_id"]), "scored")
        self.decisions[score["decision"]] += 1
        self.models[score["event_type"]] = score["model"]
        self.first_score = self.first_score or time.monotonic()

    def alerted(self, alert: dict[str, Any]) -> None:
        """An alert was read from its topic."""
        self.counts["alerts"] += 1
        self.alerts.append(alert)

    def refused(self, key: str) -> None:
        """A dead letter was read from its topic."""
        self._came_out(key, "dead_letters")

    def _came_out(self, event_id: str, how: str) -> None:
        sent = self._waiting.pop(event_id, None)
        if sent is None:
            self.counts["duplicates" if event_id in self._seen else "unexpected"] += 1
            return
        self.counts[how] += 1
        self._last_out = time.monotonic()
        self.ages.append(self._last_out - sent)
        self._seen[event_id] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def outstanding(self) -> int:
        """Messages sent of which nothing came out yet."""
        return len(self._waiting)

    def seconds_since_first_score(self) -> float:
        return time.monotonic() - self.first_score if self.first_score else 0.0

    def age_ms(self, quantile: float) -> float:
        """A quantile of recent ages: from handing over to Kafka until the score was read, in ms."""
        ages = list(self.ages)
        return round(float(np.quantile(ages, quantile)) * 1000, 1) if ages else 0.0

    def figures(self, started: float) -> dict[str, Any]:
        """What the demo's last line says; `started` is when it was typed, on the monotonic clock."""
        seconds = self._last_out - self.first_score
        out = self.counts["scored"] + self.counts["dead_letters"]
        return {
            **self.counts,
            "lost": self.outstanding(),
            "events_per_second": round(out / seconds, 1) if seconds > 0 else 0.0,
            "age_p50_ms": self.age_ms(0.5),
            "age_p99_ms": self.age_ms(0.99),
            "seconds_to_first_score": round(self.first_score - started, 1) if self.first_score else None,
            "model": self.models,
        }


def observe(kafka: Kafka, ledger: Books) -> None:
    """Read scores, alerts and dead letters into the ledger until it is closed and nothing more comes."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": "observer",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 5,
        }
    )
    topics = consumer.list_topics(timeout=10).topics
    outputs = ("scores", "alerts", "dead-letters")
    consumer.assign([TopicPartition(topic, p, 0) for topic in outputs for p in topics[topic].partitions])
    while True:
        first = consumer.poll(0.1)
        # consume(n, t) waits for all n, which would be counted as age.
        for message in [first, *consumer.consume(2000, 0)] if first else []:
            if message.error() is None:
                _enter(ledger, message)
        if first is None and ledger.closing.is_set():
            break
    consumer.close()


def _enter(ledger: Books, message: Any) -> None:
    if message.topic() == "dead-letters":
        ledger.refused((message.key() or b"").decode())
        return
    content = msgspec.json.decode(message.value())
    (ledger.scored if message.topic() == "scores" else ledger.alerted)(content)
