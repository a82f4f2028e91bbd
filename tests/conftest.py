"""Where the tests get their Apache Kafka from, and a loud word when they get none."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests.apache_kafka.cluster import Cluster
from tests.apache_kafka.container import docker_answers, kafka_container
from tests.apache_kafka.endpoint import Endpoint
from tests.apache_kafka.jars import KafkaUnavailable

NO_KAFKA = pytest.StashKey[str]()


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


def _cluster(config: pytest.Config) -> Cluster:
    try:
        return Cluster()
    except KafkaUnavailable as error:
        reason = str(error)
    if os.environ.get("STREAMSCORE_REQUIRE_KAFKA") == "1":
        pytest.fail(f"STREAMSCORE_REQUIRE_KAFKA=1, and there is no Apache Kafka: {reason}")
    config.stash[NO_KAFKA] = reason
    pytest.skip(f"no Apache Kafka: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in red what a green run without Kafka has not shown."""
    reason = config.stash.get(NO_KAFKA, None)
    if reason is None:
        return
    missing = [report for report in terminalreporter.stats.get("skipped", []) if reason in str(report.longrepr)]
    terminalreporter.section(f"{len(missing)} TESTS ON APACHE KAFKA DID NOT RUN", red=True, bold=True)
    terminalreporter.line(f"{reason}. No delivery guarantee was tested. STREAMSCORE_REQUIRE_KAFKA=1 makes this fail.")
