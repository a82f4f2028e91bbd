"""The same Apache Kafka in a container, for machines with a Docker engine."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.apache_kafka.cluster import CLUSTER_ID, START_SECONDS, free_ports, shared_settings
from tests.support.apache_kafka.endpoint import Endpoint, acknowledges, in_step, poll_until
from tests.support.apache_kafka.jars import kafka_version


def docker_answers() -> bool:
    """Whether a Docker engine answers within three seconds."""
    ask = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(ask, check=False, capture_output=True, timeout=3).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def container_environment(host: str, port: int) -> dict[str, str]:
    """What the official image needs to be one node that clients reach at `host:port`."""
    settings = shared_settings(1) | {
        "node.id": "1",
        # The node also dials itself, and from inside the container `host` may not be reachable.
        "listeners": f"PLAINTEXT://0.0.0.0:{port},INSIDE://localhost:9091,CONTROLLER://localhost:9090",
        "advertised.listeners": f"PLAINTEXT://{host}:{port},INSIDE://localhost:9091",
        "inter.broker.listener.name": "INSIDE",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": "1@localhost:9090",
    }
    variables = {f"KAFKA_{key.replace('.', '_').upper()}": value for key, value in settings.items()}
    return variables | {"CLUSTER_ID": CLUSTER_ID}


@contextmanager
def kafka_container() -> Iterator[Endpoint]:
    """One node of Apache Kafka in a container that is removed in the end."""
    # Imported here: most machines that run the unit tests have no Docker, and the import takes its time.
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    port = free_ports(1)[0]
    container = DockerContainer(f"apache/kafka:{kafka_version()}").with_bind_ports(port, port)
    host = container.get_docker_client().host()
    container.with_envs(**container_environment(host, port))
    endpoint = Endpoint(f"{host}:{port}")

    def ready() -> bool:
        return in_step(endpoint.bootstrap, {1}) and acknowledges(endpoint.bootstrap)

    with container:
        poll_until(ready, START_SECONDS, lambda: b"Kafka is not ready:\n".join(container.get_logs()).decode())
        yield endpoint
