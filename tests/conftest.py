"""Where the tests get their Apache Kafka and Prometheus from, and a loud word when they get none."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.apache_kafka.cluster import Cluster
from tests.apache_kafka.container import docker_answers, kafka_container
from tests.apache_kafka.endpoint import Endpoint
from tests.apache_kafka.jars import KafkaUnavailable
from tests.prometheus import PrometheusUnavailable, program

# Why a program is not there, and what a green run without it has not shown.
MISSING = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MISSING] = {}


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[Endpoint]:
    """An Apache Kafka that all tests share: the environment's, else in a container, else from its jars."""
    if bootstrap := os.environ.get("STREAMSCORE_TEST_BOOTSTRAP"):
        yield Endpoint(bootstrap)
    elif docker_answers():
        with kafka_container() as endpoint:
            yield endpoint
    else:
        with _cluster(pytestconfig) as cluster:
            yield cluster


@pytest.fixture
def own_kafka(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """One node of Apache Kafka for this test alone, which may stop and start it."""
    with _cluster(pytestconfig) as cluster:
        yield cluster


@pytest.fixture
def topic(kafka: Endpoint) -> Callable[..., str]:
    """`topic(partitions=1, **config)` creates a topic on the shared Kafka and returns its unique name."""
    return kafka.new_topic


@pytest.fixture(scope="session")
def prometheus_program(pytestconfig: pytest.Config) -> Callable[[str], Path]:
    """The function that gives the path of `prometheus` or `promtool`."""

    def found(name: str) -> Path:
        try:
            return program(name)
        except PrometheusUnavailable as error:
            raise _skipped(
                pytestconfig, f"no Prometheus: {error}", "Neither alert rules nor dashboard were tested."
            ) from None

    return found


def _cluster(config: pytest.Config) -> Cluster:
    try:
        return Cluster()
    except KafkaUnavailable as error:
        reason = str(error)
    if os.environ.get("STREAMSCORE_REQUIRE_KAFKA") == "1":
        pytest.fail(f"STREAMSCORE_REQUIRE_KAFKA=1, and there is no Apache Kafka: {reason}")
    not_shown = "No delivery guarantee was tested. STREAMSCORE_REQUIRE_KAFKA=1 makes this fail."
    raise _skipped(config, f"no Apache Kafka: {reason}", not_shown)


def _skipped(config: pytest.Config, reason: str, not_shown: str) -> BaseException:
    """What a test raises that is skipped, noted for the last lines of the run."""
    config.stash[MISSING][reason] = not_shown
    return pytest.skip.Exception(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in red what a green run without Kafka or Prometheus has not shown."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason, not_shown in config.stash[MISSING].items():
        missing = sum(reason in str(report.longrepr) for report in skipped)
        terminalreporter.section(f"{missing} TESTS DID NOT RUN", red=True, bold=True)
        terminalreporter.line(f"{reason}. {not_shown}")
