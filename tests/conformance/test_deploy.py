"""What is shipped beside the code names only settings, metrics and files that exist, and keeps its promises."""

import json
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamscore import errors
from streamscore.archive.metrics import ArchiveMetrics
from streamscore.monitoring.metrics import Metrics
from streamscore.settings.load import NOT_SETTINGS, load
from streamscore.settings.schema import Settings
from tests.support.paths import ROOT
from trainer.metrics import TrainerMetrics

DEPLOY = ROOT / "deploy"
COMPOSE = [ROOT / "docker-compose.yml", DEPLOY / "compose.gpu.yml"]
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
KUBERNETES = DEPLOY / "kubernetes" / "base"
ARCHIVER, TRAINER = DEPLOY / "kubernetes" / "archiver", DEPLOY / "kubernetes" / "trainer"
EACH_DEPLOYMENT = pytest.mark.parametrize("folder", [KUBERNETES, ARCHIVER, TRAINER], ids=lambda folder: folder.name)
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))

# What PromQL itself calls things; every other bare word in an expression is a metric.
WORDS = {"and", "or", "unless", "bool", "offset"}


def yaml_of(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def tool(name: str, *arguments: str | Path) -> None:
    """Run a tool of the development environment, which must find no fault."""
    command = [str(Path(sysconfig.get_path("scripts"), name)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{name}:\n{done.stdout}{done.stderr}"


def shipped() -> list[Path]:
    """Every file that may set a variable of the worker."""
    return [ROOT / "Dockerfile", COMPOSE[0], *(p for p in sorted(DEPLOY.rglob("*")) if p.is_file())]


def variables(path: Path) -> Iterator[tuple[str, str]]:
    """The STREAMSCORE_… variables that a Dockerfile or YAML file sets, with their values."""
    if path.name == "Dockerfile":
        yield from re.findall(r"(STREAMSCORE_\w+)=(\S+)", path.read_text())
    elif path.suffix in (".yml", ".yaml"):
        for mapping in mappings(yaml_of(path)):
            if str(mapping.get("name", "")).startswith("STREAMSCORE_"):
                yield mapping["name"], mapping["value"]
            yield from ((name, str(value)) for name, value in mapping.items() if name.startswith("STREAMSCORE_"))


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a YAML document, at any depth."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from mappings(child)


def rules() -> list[dict[str, str]]:
    groups = yaml_of(DEPLOY / "prometheus" / "rules.yml")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def exposed() -> set[str]:
    """The name of every series a worker, an archiver or a trainer can expose, also those it has no value for yet."""
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    return {
        family.name + ending
        for registry in (Metrics().registry, ArchiveMetrics().registry, TrainerMetrics().registry)
        for family in registry.collect()
        for ending in endings.get(family.type, [""])
    }


def metrics_in(expression: str) -> set[str]:
    """The series that a PromQL expression asks for."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    words = re.findall(r"(?<![\w:$.])[a-zA-Z_][\w:]*\b(?!\s*\()", bare)
    return set(words) - WORDS


def dashboard_expressions(path: Path) -> list[str]:
    panels = json.loads(path.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_the_dockerfile_is_clean() -> None:
    """hadolint finds nothing in the Dockerfile."""
    tool("hadolint", ROOT / "Dockerfile")


def test_the_image_takes_only_what_its_context_holds() -> None:
    """Everything the Dockerfile copies from the repository is let through by .dockerignore."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    copied = {name for line in lines for name in line.split()} - {"requirements/${DEVICE}.txt"}
    assert copied | {"requirements/cpu.txt", "requirements/gpu.txt"} == allowed


def test_the_health_check_asks_the_port_the_worker_listens_on() -> None:
    """Dockerfile, scrape configuration and Kubernetes use the default port of the settings."""
    port = Settings().http.port
    text = (ROOT / "Dockerfile").read_text()
    assert f"EXPOSE {port}\n" in text
    assert f"127.0.0.1:{port}/livez" in text
    scraped = yaml_of(DEPLOY / "prometheus" / "prometheus.yml")["scrape_configs"][0]["dns_sd_configs"][0]
    assert scraped["port"] == port
    container = yaml_of(KUBERNETES / "deployment.yaml")["spec"]["template"]["spec"]["containers"][0]
    assert container["ports"] == [{"name": "metrics", "containerPort": port}]


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_files_follow_the_specification(path: Path) -> None:
    """The compose files are what the compose specification's schema allows."""
    tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", path)


@pytest.mark.parametrize("path", shipped(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_variable_is_a_setting(path: Path) -> None:
    """Each STREAMSCORE_ variable of a shipped file is a setting, with a value it may have."""
    found = dict(variables(path))
    assert found.keys() == set(re.findall(r"STREAMSCORE_\w+", path.read_text()))
    _, origins = load(None, found)
    assert set(origins.values()) == found.keys() - NOT_SETTINGS


@pytest.mark.parametrize("service", ["worker", "archiver"])
def test_a_stopping_service_may_use_all_its_time(service: str) -> None:
    """Compose waits longer than worker or archiver may take to drain."""
    grace = seconds(yaml_of(COMPOSE[0])["services"][service]["stop_grace_period"])
    assert grace > load(None, {})[0].drain_seconds


@pytest.mark.parametrize("folder", [KUBERNETES, ARCHIVER], ids=lambda folder: folder.name)
def test_a_stopping_pod_may_use_all_its_time(folder: Path) -> None:
    """The settings file that Kubernetes mounts loads, and the pod's grace is longer than its time to drain."""
    settings, _ = load(folder / "streamscore.yaml", {})
    pod = yaml_of(folder / "deployment.yaml")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > settings.drain_seconds


def test_compose_starts_the_worker_after_its_topics_and_models() -> None:
    """The worker waits until both one-shot services have ended well."""
    services = yaml_of(COMPOSE[0])["services"]
    assert services["worker"]["depends_on"] == {
        name: {"condition": "service_completed_successfully"} for name in ("topics", "first-model")
    }
    for event_type in Settings().inputs.values():
        assert event_type in services["first-model"]["command"][0]


@pytest.mark.parametrize("name", ["topics", "first-model", "worker", "archiver", "trainer", "simulate"])
def test_compose_gives_a_service_nothing_it_does_not_need(name: str) -> None:
    """Our services have a read-only root, no capabilities, and cannot gain privileges."""
    service = yaml_of(COMPOSE[0])["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_compose_is_reachable_from_this_machine_only() -> None:
    """Every published port is on the loopback interface."""
    services = yaml_of(COMPOSE[0])["services"].values()
    ports = [port for service in services for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@EACH_DEPLOYMENT
def test_kubernetes_lists_every_manifest(folder: Path) -> None:
    """Each file of a folder is named in its kustomization, and each named one is there."""
    kustomization = yaml_of(folder / "kustomization.yaml")
    files = [name for made in kustomization.get("configMapGenerator", []) for name in made["files"]]
    named = {*kustomization["resources"], *files, "kustomization.yaml"}
    assert named == {path.name for path in folder.iterdir()}


def test_the_disruption_budget_selects_the_workers() -> None:
    """The budget's selector is the labels that kustomize gives the pods: an empty one would protect nothing."""
    labels = yaml_of(KUBERNETES / "kustomization.yaml")["labels"][0]
    assert labels["includeSelectors"] is True
    assert yaml_of(KUBERNETES / "disruption.yaml")["spec"]["selector"]["matchLabels"] == labels["pairs"]


@EACH_DEPLOYMENT
def test_kubernetes_runs_a_pod_with_nothing_to_spare(folder: Path) -> None:
    """The pod is not root, cannot write its image or gain privileges, and gets no variables of services."""
    pod = yaml_of(folder / "deployment.yaml")["spec"]["template"]["spec"]
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@EACH_DEPLOYMENT
@pytest.mark.parametrize(
    ("probe", "path"), [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
)
def test_kubernetes_probes_ask_what_is_answered(probe: str, path: str, folder: Path) -> None:
    """Each probe asks its own path on the metrics port."""
    container = yaml_of(folder / "deployment.yaml")["spec"]["template"]["spec"]["containers"][0]
    assert container[probe]["httpGet"] == {"path": path, "port": "metrics"}


def test_metric_names_are_found_in_expressions() -> None:
    """The reader of expressions that the next tests rely on tells metrics from everything else."""
    expression = (
        'sum by (job, le) (rate(a_bucket{le="0.5", x=~"$y"}[$__rate_interval])) / on (job) b:c unless d offset 1h'
    )
    assert metrics_in(expression) == {"a_bucket", "b:c", "d"}


def test_rules_use_metrics_that_exist() -> None:
    """Each metric in a rule is exposed by one of our processes, recorded by another rule, or Prometheus' own."""
    known = exposed() | {rule["record"] for rule in rules() if "record" in rule} | {"up"}
    for rule in rules():
        assert metrics_in(rule["expr"]) <= known, rule["expr"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_dashboards_use_metrics_that_exist(path: Path) -> None:
    """Each metric on a dashboard is exposed by the worker."""
    expressions = dashboard_expressions(path)
    assert expressions
    for expression in expressions:
        assert metrics_in(expression) <= exposed(), expression


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_dashboards_ask_the_chosen_data_source(path: Path) -> None:
    """Every panel and query uses the data source variable, so the dashboard works in any Grafana."""
    dashboard = json.loads(path.read_text())
    assert (
        dashboard["templating"]["list"][0] | {"name": "datasource", "type": "datasource"}
        == (dashboard["templating"]["list"][0])
    )
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    used = [holder["datasource"] for panel in panels for holder in (panel, *panel["targets"])]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in used)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_every_alert_says_what_it_is() -> None:
    """Each alert has our prefix, a severity, a summary, a description and its own entry in the runbook."""
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    headings = set(re.findall(r"^### (\w+)$", runbook, re.MULTILINE))
    for alert in alerts():
        assert alert["alert"].startswith("StreamScore")
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"
    assert headings == {alert["alert"] for alert in alerts()}


def test_every_alert_is_seen_to_fire_to_resolve_and_to_stay_silent() -> None:
    """The rule tests hold, for each alert, an episode that fires and ends, and one that never fires."""
    episodes: dict[str, list[list[bool]]] = {}
    files = (DEPLOY / "prometheus").glob("*rules_test.yml")
    for test in (test for file in files for test in yaml_of(file)["tests"]):
        for name in {check["alertname"] for check in test["alert_rule_test"]}:
            checks = [bool(check["exp_alerts"]) for check in test["alert_rule_test"] if check["alertname"] == name]
            episodes.setdefault(name, []).append(checks)
    assert episodes.keys() == {alert["alert"] for alert in alerts()}
    for name, seen in episodes.items():
        assert any(checks[0] is False and True in checks and checks[-1] is False for checks in seen), name
        assert any(True not in checks for checks in seen), name


def test_the_runbook_explains_every_exit_code() -> None:
    """Each error that ends the process is in the runbook's table, with its code."""
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    kinds = errors.StreamScoreError.__subclasses__()
    assert kinds
    for kind in kinds:
        assert f"| {kind.exit_code} | `{kind.__name__}` |" in runbook


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_requirements_are_pinned_by_hash_and_name_no_index(path: Path) -> None:
    """Each requirement has one version and hashes; where packages come from is not the repository's business."""
    text = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.MULTILINE)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+( ;.*?)?(\s+--hash=sha256:[0-9a-f]{64})+$", line), line
    assert "://" not in path.read_text()
