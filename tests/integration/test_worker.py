"""One worker, two event types: what it publishes, what it says of itself, and how it leaves."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.event_type import EventType
from streamscore.core.events.record import Headers
from streamscore.core.events.transaction import TRANSACTION
from streamscore.core.scoring.bundle import Manifest
from streamscore.models.store import ModelStore
from streamscore.simulator import streams as simulator
from tests.integration.conftest import Position, position, published
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import START, Keyed, produce, road, transactions, until, worker
from tests.support.trained import SIMULATE

pytestmark = pytest.mark.kafka

PAYMENTS, CREDITS, BROKEN = 2_000, 600, 5
TRACE: Headers = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", b"a=1")]
OTHERS: Headers = [("card", b"4000123412341234"), ("Traceparent", b"not ours"), ("empty", None)]
SCORE_FIELDS = {
    "score_id", "event_id", "event_type", "entities", "risk", "decision", "model",
    "topic", "partition", "offset", "occurred_at", "scored_at",
}  # fmt: skip

Labels = frozenset[tuple[str, str]]


class Run(NamedTuple):
    """What went in, what came out, and what the worker said meanwhile."""

    inputs: dict[Position, Message]
    types: dict[str, EventType]
    scores: list[tuple[Message, dict[str, Any]]]
    alerts: list[tuple[Message, dict[str, Any]]]
    dead_letters: list[Message]
    manifests: dict[str, Manifest]
    metrics: dict[tuple[str, Labels], float]
    ready: tuple[int, str]
    exit_code: int
    log: str
    committed: dict[tuple[str, int], int]
    started: datetime

    def source(self, content: dict[str, Any]) -> Message:
        """The input that a score or an alert is about."""
        return self.inputs[content["topic"], content["partition"], content["offset"]]

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics[name, frozenset(labels.items())]


def credits_(rows: int) -> list[Keyed]:
    simulated = SIMULATE["application"](rows, START, 1.0, 3, 0)
    return list(zip(simulator.keys(APPLICATION, simulated), simulator.json_lines(APPLICATION, simulated), strict=True))


@pytest.fixture(scope="module")
def run(kafka: Endpoint, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Half of the events are there before the worker, the other half comes while it scores."""
    payments = road(kafka, store, 3)
    applications = payments._replace(input=kafka.new_topic(2))
    types = {payments.input: TRANSACTION, applications.input: APPLICATION}
    started, folder = datetime.now(UTC), tmp_path_factory.mktemp("worker")
    sent, asked = transactions(PAYMENTS), credits_(BROKEN + CREDITS)
    asked[:BROKEN] = [(key, (value or b"")[:40]) for key, value in asked[:BROKEN]]
    produce(payments, sent[: PAYMENTS // 2])
    produce(applications, asked[: CREDITS // 2], headers=[*OTHERS[:1], *TRACE, *OTHERS[1:]])
    inputs = f"{{{payments.input}: transaction, {applications.input}: application}}"
    total = PAYMENTS + CREDITS + BROKEN
    with worker(payments, folder, {"inputs": inputs}) as running:
        produce(payments, [(None, value) for _, value in sent[PAYMENTS // 2 :]], headers=[*TRACE[:1], *OTHERS])
        produce(applications, asked[CREDITS // 2 :], headers=OTHERS)

        def counted() -> bool:
            now = parsed(running.get("/metrics")[1])
            aged = [now.get(("streamscore_event_age_seconds_count", label(t.name)), 0) for t in types.values()]
            gauges = [now[f"streamscore_{name}", frozenset()] for name in ("assigned_partitions", "buffered_events")]
            lags = [value for (name, _), value in now.items() if name == "streamscore_consumer_lag_messages"]
            return sum(aged) >= total and gauges == [5, 0] and lags == [0] * 5  # gauges are set once a second

        until(counted, 60, f"all of {total} events are acknowledged", running.alive)
        metrics, ready = parsed(running.get("/metrics")[1]), running.get("/readyz")
        exit_code, log = running.terminate(), running.log()
    outputs = {name: published(kafka.bootstrap, topic) for name, topic in payments.outputs.items()}
    return Run(
        inputs={position(message): message for topic in types for message in published(kafka.bootstrap, topic)},
        types=types,
        scores=[(message, json.loads(message.value() or b"")) for message in outputs["scores"]],
        alerts=[(message, json.loads(message.value() or b"")) for message in outputs["alerts"]],
        dead_letters=outputs["dead_letters"],
        manifests={t.name: champion(store, t.name) for t in types.values()},
        metrics=metrics,
        ready=ready,
        exit_code=exit_code,
        log=log,
        committed=committed(kafka.bootstrap, payments.group, {payments.input: 3, applications.input: 2}),
        started=started,
    )


def label(event_type: str) -> Labels:
    return frozenset({("event_type", event_type)})


def parsed(page: str) -> dict[tuple[str, Labels], float]:
    """Prometheus's own reading of a metrics page."""
    families = text_string_to_metric_families(page)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def champion(store: Path, event_type: str) -> Manifest:
    models = ModelStore(str(store), event_type)
    return models.manifest(models.alias("champion") or "")


def committed(bootstrap: str, group: str, partitions: dict[str, int]) -> dict[tuple[str, int], int]:
    client = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    asked = [TopicPartition(topic, p) for topic, count in partitions.items() for p in range(count)]
    found = {(f.topic, f.partition): f.offset for f in client.committed(asked, timeout=10)}
    client.close()
    return found


def test_every_event_is_scored_once(run: Run) -> None:
    """Each event has exactly one score or dead letter, by the coordinates that it names."""
    scored = Counter(position(run.source(score)) for _, score in run.scores)
    assert set(scored.values()) == {1}
    assert len(scored) == PAYMENTS + CREDITS
    assert len(run.dead_letters) == BROKEN
    assert len(run.inputs) == PAYMENTS + CREDITS + BROKEN


def test_a_score_says_what_the_event_said(run: Run) -> None:
    """A score has the fields of a score, and those that it takes from its event are the event's."""
    for message, score in run.scores:
        source = run.source(score)
        event, event_type = json.loads(source.value() or b""), run.types[score["topic"]]
        assert score.keys() - {"reasons"} == SCORE_FIELDS
        assert score["score_id"] == f"{source.topic()}-{source.partition()}-{source.offset()}"
        assert (score["event_id"], score["event_type"]) == (event["event_id"], event_type.name)
        assert score["entities"] == {name: event[name] for name in event_type.entities}
        assert datetime.fromisoformat(score["occurred_at"]) == datetime.fromisoformat(event["occurred_at"])
        assert run.started <= datetime.fromisoformat(score["scored_at"]) <= datetime.now(UTC)
        assert message.key() == source.key()


def test_decisions_follow_the_thresholds_of_the_champion(run: Run) -> None:
    """Risk is a probability, and the decision is the band in which the named champion puts it."""
    for _, score in run.scores:
        manifest, event_type = run.manifests[score["event_type"]], run.types[score["topic"]]
        assert 0 <= score["risk"] <= 1
        assert score["model"] == manifest.version
        band = (score["risk"] >= manifest.thresholds.review) + (score["risk"] >= manifest.thresholds.decline)
        assert score["decision"] == event_type.decisions[band]
    assert len({(score["event_type"], score["decision"]) for _, score in run.scores}) == 6


def test_alerts_are_the_scores_above_review(run: Run) -> None:
    """Every score above the review threshold, and no other, has one alert that repeats it with a severity."""
    scores = {score["score_id"]: score for _, score in run.scores if score["decision"] != "approve"}
    alerts = {alert["alert_id"]: alert for _, alert in run.alerts}
    assert len(alerts) == len(run.alerts)
    assert alerts.keys() == scores.keys()
    for name, alert in alerts.items():
        severity = "high" if alert["decision"] == "decline" else "medium"
        expected = scores[name] | {"alert_id": name, "severity": severity}
        assert alert == {key: value for key, value in expected.items() if key != "score_id"}
    assert {message.key() for message, _ in run.alerts} <= {message.key() for message in run.inputs.values()}


def test_adverse_decisions_carry_reasons(run: Run) -> None:
    """What is not approved has one to four reasons in score and alert, strongest first; the rest has none."""
    for _, score in run.scores:
        why = score.get("reasons", [])
        assert bool(why) == (score["decision"] != "approve"), score
        assert len(why) <= 4
        assert all(reason.keys() == {"code", "text", "contribution"} for reason in why)
        assert all(reason["code"] and reason["text"] and reason["contribution"] > 0 for reason in why)
        assert why == sorted(why, key=lambda reason: -reason["contribution"])


def test_no_reason_names_a_protected_feature(run: Run) -> None:
    """The applicant's age, which the model sees, is never a reason; other features of an application are."""
    names = {
        reason["code"] for _, alert in run.alerts if "applicant_id" in alert["entities"] for reason in alert["reasons"]
    }
    assert "age" in run.manifests["application"].features
    assert len(names) > 3
    assert "age" not in names


def test_only_trace_headers_travel_on(run: Run) -> None:
    """`traceparent` and `tracestate` stand on score and alert as they came; no other header does."""
    seen = set()
    for message, content in [*run.scores, *run.alerts]:
        given = [header for header in run.source(content).headers() or [] if header in TRACE]
        assert message.headers() == (given or None)
        seen.add(len(given))
    assert seen == {0, 1, 2}


def test_metrics_agree_with_the_books(run: Run) -> None:
    """Every counter on the metrics page is the number that was counted in Kafka."""
    decisions = Counter((score["event_type"], score["decision"]) for _, score in run.scores)
    severities = Counter((alert["event_type"], alert["severity"]) for _, alert in run.alerts)
    reasons = Counter(dict(message.headers() or [])["streamscore.dead_letter.reason"] for message in run.dead_letters)
    read = Counter(topic for topic, _, _ in run.inputs)
    for (event_type, decision), count in decisions.items():
        assert run.metric("streamscore_events_scored_total", event_type=event_type, decision=decision) == count
    for (event_type, severity), count in severities.items():
        assert run.metric("streamscore_alerts_total", event_type=event_type, severity=severity) == count
    for topic, count in read.items():
        assert run.metric("streamscore_events_consumed_total", topic=topic) == count
    assert reasons == {b"truncated": BROKEN}
    assert run.metric("streamscore_dead_letters_total", event_type="application", reason="truncated") == BROKEN
    for name, manifest in run.manifests.items():
        assert run.metric("streamscore_model_info", event_type=name, version=manifest.version) == 1
        assert run.metric("streamscore_model_load_failures_total", event_type=name) == 0
        scored = sum(count for (event_type, _), count in decisions.items() if event_type == name)
        assert run.metric("streamscore_risk_count", event_type=name) == scored


def test_the_worker_is_ready_and_idle(run: Run) -> None:
    """When all is scored it is ready, owns every partition, and nothing waits."""
    assert run.ready == (200, "ok\n")
    gauges = {name: run.metric(f"streamscore_{name}") for name in ("ready", "broker_connected", "buffered_events")}
    assert gauges == {"ready": 1, "broker_connected": 1, "buffered_events": 0}
    lags = [value for (name, _), value in run.metrics.items() if name == "streamscore_consumer_lag_messages"]
    assert lags == [0] * 5


def test_it_leaves_in_good_order(run: Run) -> None:
    """SIGTERM ends it with 0, and everything it read is committed."""
    assert run.exit_code == 0, run.log
    ends = Counter((topic, partition) for topic, partition, _ in run.inputs)
    assert run.committed == ends
