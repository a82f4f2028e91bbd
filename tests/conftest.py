"""Where the tests get their Apache Kafka and Prometheus from, and a loud word when they get none."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import session
from tests.support.apache_kafka.cluster import Cluster
from tests.support.apache_kafka.container import docker_answers, kafka_container
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.apache_kafka.jars import KafkaUnavailable
from tests.support.apache_kafka.quick import quick_options
from tests.support.prometheus import PrometheusUnavailable, program

# How the reason of a skipped test begins, and what a green run without it has not shown.
MISSING = {
    "no Apache Kafka": "No delivery guarantee was tested. STREAMSCORE_REQUIRE_KAFKA=1 makes this fail.",
    "no Prometheus": "Neither alert rules nor dashboard were tested.",
}


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts a test, and the programs it starts, even where pytest itself was started with it ignored.

    A command that a test calls in this process has its own way with signals, which must not reach the next test.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The processes of a test run share a folder, so that the models that their tests need are trained once."""
    folder = tmp_path_factory.getbasetemp()
    session.share(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)


@pytest.fixture(scope="session")
def kafka() -> Iterator[Endpoint]:
    """An Apache Kafka that all tests share: the environment's, else in a container, else from its jars."""
    if bootstrap := os.environ.get("STREAMSCORE_TEST_BOOTSTRAP"):
        yield Endpoint(bootstrap)
    elif docker_answers():
        with kafka_container() as endpoint:
            yield endpoint
    else:
        with _cluster() as cluster:
            yield cluster


@pytest.fixture
def own_kafka() -> Iterator[Cluster]:
    """One node of Apache Kafka for this test alone, which may stop and start it."""
    with _cluster() as cluster:
        yield cluster


@pytest.fixture
def topic(kafka: Endpoint) -> Callable[..., str]:
    """`topic(partitions=1, **config)` creates a topic on the shared Kafka and returns its unique name."""
    return kafka.new_topic


@pytest.fixture(scope="session")
def prometheus_program() -> Callable[[str], Path]:
    """The function that gives the path of `prometheus` or `promtool`."""

    def found(name: str) -> Path:
        try:
            return program(name)
        except PrometheusUnavailable as error:
            pytest.skip(f"no Prometheus: {error}")

    return found


def _cluster() -> Cluster:
    try:
        return Cluster(options=quick_options())
    except KafkaUnavailable as error:
        reason = str(error)
    if os.environ.get("STREAMSCORE_REQUIRE_KAFKA") == "1":
        pytest.fail(f"STREAMSCORE_REQUIRE_KAFKA=1, and there is no Apache Kafka: {reason}")
    pytest.skip(f"no Apache Kafka: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in red what a green run without Kafka or Prometheus has not shown."""
    skipped = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", [])]  # path, line, reason
    for reason, not_shown in MISSING.items():
        if missing := [why for why in skipped if reason in why]:
            terminalreporter.section(f"{len(missing)} TESTS DID NOT RUN", red=True, bold=True)
            terminalreporter.line(f"{missing[0]}. {not_shown}")
