"""Alert rules and dashboard, judged by Prometheus itself on the series that a worker exposes."""

import http.client
import json
import math
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import yaml

from streamscore.archive.metrics import ArchiveMetrics
from streamscore.core.events.decode import DeadLetter
from streamscore.core.scoring.bins import binned, bins_of
from streamscore.core.scoring.pipeline import Outcome
from streamscore.core.scoring.profile import Profile
from streamscore.monitoring.metrics import Metrics
from streamscore.monitoring.probe import Heartbeat, serve
from streamscore.settings.schema import Http
from tests.support.paths import ROOT
from trainer.metrics import TrainerMetrics

RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
RULE_TESTS = sorted((ROOT / "deploy" / "prometheus").glob("*rules_test.yml"))
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "streamscore.json"

BINS = bins_of("v1", {"published risk": Profile((0.2, 0.8), (10, 80, 10, 0))}, {})

Query = Callable[[str], list[dict[str, Any]]]


Promtool = Callable[..., None]


@pytest.fixture(scope="module")
def promtool(prometheus_program: Callable[[str], Path]) -> Promtool:
    """The function that runs promtool and fails with what it says."""
    path = prometheus_program("promtool")

    def run(*arguments: str | Path) -> None:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def work(metrics: Metrics) -> None:
    """One batch of each event type, with something of everything that is counted."""
    random = np.random.default_rng(1)
    metrics.connected.set(1)
    metrics.ready.set(1)
    metrics.lags({("transactions", 0): 3, ("applications", 0): 0}, {"transactions": 1.0, "applications": 1.0}, 2.0)
    metrics.commit_failures.inc()
    metrics.device.labels("cpu, tensorflow").set(1)
    for event_type, topic in (("transaction", "transactions"), ("application", "applications")):
        risks = random.random(100)
        outcome = Outcome(
            scores=[],
            alerts=[],
            dead_letters=[],
            offsets={},
            risks=risks,
            bands=np.digitize(risks, [0.5, 0.9]),
            refused=[DeadLetter("missing_field", "amount", "is missing")],
            timestamps=np.zeros(101, np.int64),
            unknown_values={"country": 1},
            ignored_fields=1,
            binned=binned(BINS, np.zeros((100, 0), np.float32), risks.astype(np.float32)),
        )
        metrics.consumed.labels(topic).inc(101)
        metrics.batch(event_type, ("approve", "review", "decline"), outcome)
        metrics.age.observe(event_type, random.random(101))
        metrics.stage.observe("model", random.random(1) / 100)
        metrics.use_model(event_type, "v1", None)
        metrics.model_failures.labels(event_type).inc()
        metrics.shadow.events.labels(event_type, "failed").inc()
        metrics.shadow.refused.labels(event_type).inc()
        metrics.history.snapshot(event_type, None)


@pytest.fixture(scope="module")
def query(prometheus_program: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Query]:
    """Instant queries to a Prometheus of this test's own, which scrapes a worker, an archiver and a trainer at work."""
    prometheus, folder = prometheus_program("prometheus"), tmp_path_factory.mktemp("prometheus")
    metrics, archive_metrics = Metrics(), ArchiveMetrics()
    server = serve(Http(port=0), metrics.registry, Heartbeat())
    archiver = serve(Http(port=0), archive_metrics.registry, Heartbeat())
    trainer = serve(Http(port=0), TrainerMetrics().registry, Heartbeat())
    port = free_port()
    config = {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"},
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{target.server_address[1]}"]}]}
            for name, target in (
                ("streamscore", server),
                ("streamscore-archiver", archiver),
                ("streamscore-trainer", trainer),
            )
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    options = ("config.file=prometheus.yml", "storage.tsdb.path=data", f"web.listen-address=127.0.0.1:{port}")
    command = [str(prometheus), *(f"--{option}" for option in options)]
    with (folder / "log").open("w") as log:
        child = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)

    def ask(expression: str) -> list[dict[str, Any]]:
        work(metrics)
        archive_metrics.lags({("transactions", 0): 1})
        archive_metrics.rows.labels("transaction/events").inc()
        return answered(port, expression)

    try:
        until(lambda: bool(ask("count_over_time(up[1m]) >= 4")), "Prometheus has not scraped", folder / "log")
        yield ask
    finally:
        child.terminate()
        child.wait(30)
        for serving in (server, archiver, trainer):
            serving.shutdown()
            serving.server_close()


def answered(port: int, expression: str) -> list[dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", f"/api/v1/query?{urlencode({'query': expression})}")
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return []  # not started yet
    finally:
        connection.close()
    assert answer["status"] == "success", answer
    result = answer["data"]["result"]
    return result if answer["data"]["resultType"] == "vector" else [{"metric": {}, "value": result}]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(true: Callable[[], bool], otherwise: str, log: Path) -> None:
    end = time.monotonic() + 30
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"{otherwise}:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def panels() -> list[tuple[str, str]]:
    """Each panel's title and expressions, the variables filled in."""
    filled = {"$__rate_interval": "5s", "$job": "streamscore", "$instance": ".*"}
    found = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in filled.items():
                expression = expression.replace(name, value)
            found.append((panel["title"], expression))
    return found


def test_promtool_accepts_the_rules(promtool: Promtool) -> None:
    """promtool finds no fault in the rules, nor a second rule of the same kind."""
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


def test_promtool_accepts_the_scrape_configuration(promtool: Promtool) -> None:
    """promtool finds no fault in the configuration that compose mounts, nor in the rules it names."""
    promtool("check", "config", ROOT / "deploy" / "prometheus" / "prometheus.yml")


@pytest.mark.slow
def test_alerts_fire_resolve_and_stay_silent(promtool: Promtool) -> None:
    """Every alert does in every episode what the rule tests say."""
    promtool("test", "rules", *RULE_TESTS)


@pytest.mark.parametrize(("title", "expression"), panels())
def test_every_panel_has_something_to_show(query: Query, title: str, expression: str) -> None:
    """Each query of the dashboard finds a finite value in a worker's metrics."""
    values = [float(series["value"][1]) for series in query(expression)]
    assert any(math.isfinite(value) for value in values), f"{title}: {expression}"


def test_a_misspelt_metric_has_nothing_to_show(query: Query) -> None:
    """The test before this one can fail: Prometheus answers with nothing, not with an error."""
    assert query("rate(streamscore_event_scored_total[5s])") == []


def test_rules_are_tested_on_series_that_a_worker_exposes(query: Query) -> None:
    """Each input series of the rule tests has the name and labels that Prometheus gets from a worker."""
    tests = [test for file in RULE_TESTS for test in yaml.safe_load(file.read_text())["tests"]]
    inputs = {series["series"] for test in tests for series in test["input_series"]}
    assert inputs
    for name, labels in (re.fullmatch(r"(\w+)\{(.*)\}", text).groups() for text in inputs):  # type: ignore[union-attr]
        live = {frozenset(series["metric"]) - {"__name__"} for series in query(name)}
        assert live == {frozenset(re.findall(r"(\w+)=", labels))}, name
