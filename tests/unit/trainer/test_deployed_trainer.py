"""The trainers that compose and Kubernetes start: a watch with arguments that it has, and where Prometheus looks."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.support.paths import ROOT
from trainer.cli.main import cli

DEPLOY = ROOT / "deploy"


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def trainers() -> dict[str, list[str]]:
    """The arguments of the trainers that are shipped."""
    pod = _yaml(DEPLOY / "kubernetes" / "trainer" / "deployment.yaml")["spec"]["template"]["spec"]
    return {
        "compose": _yaml(ROOT / "docker-compose.yml")["services"]["trainer"]["command"],
        "pod": pod["containers"][0]["args"],
    }


@pytest.mark.parametrize("given", trainers().values(), ids=trainers().keys())
def test_the_trainer_watches_and_is_scraped(given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arguments are the command's, it answers beyond its container, and Prometheus asks at its port."""
    begun: list[Any] = []
    served: list[Any] = []

    def serve(http: Any, *_: Any) -> SimpleNamespace:
        served.append(http)
        return SimpleNamespace(server_address=(http.host, http.port))

    monkeypatch.setattr("trainer.watch.watch", lambda what, *_: begun.append(what))
    monkeypatch.setattr("streamscore.monitoring.probe.serve", serve)
    done = CliRunner().invoke(cli, given)
    assert done.exit_code == 0, done.output
    assert begun[0].event_type.name == "transaction"
    assert served[0].host == "0.0.0.0"  # noqa: S104
    jobs = {job["job_name"]: job for job in _yaml(DEPLOY / "prometheus" / "prometheus.yml")["scrape_configs"]}
    assert jobs["streamscore-trainer"]["dns_sd_configs"][0]["port"] == served[0].port
