"""Apache Kafka for the tests: its published jars, started with the local Java.

Each node is a KRaft node in both roles on loopback ports of its own. Nodes never outlive the test process.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.apache_kafka.endpoint import Endpoint, KafkaFailed, acknowledges, in_step, poll_until
from tests.support.apache_kafka.jars import fetch_jars

CLUSTER_ID = "streamscore-test-kafka"  # Kafka wants the 22 characters of a UUID in base64.
# Measured on two cores: one node takes 3 s and three take 9 s, twice that on a busy machine.
START_SECONDS = 120
RECORD_CLASSES = "-XX:ArchiveClassesAtExit="


class Cluster(Endpoint):
    """One Apache Kafka node, or three with three copies of everything, that a test may stop and start.

    `settings` are broker settings that replace or join those of `shared_settings`; `options` are Java's.
    """

    def __init__(self, nodes: int = 1, settings: Mapping[str, str] | None = None, options: Sequence[str] = ()) -> None:
        ports = free_ports(2 * nodes)
        self._addresses = {node: f"127.0.0.1:{ports[node - 1]}" for node in range(1, nodes + 1)}
        self._voters = {node: f"127.0.0.1:{ports[nodes + node - 1]}" for node in self._addresses}
        self._settings = shared_settings(nodes) | dict(settings or {})
        # Three nodes share a machine; a lone one carries the load tests.
        self._options = ("-Xmx1g" if nodes == 1 else "-Xmx512m", *options)
        self._jars = fetch_jars()
        self._directory = Path(tempfile.mkdtemp(prefix="streamscore-kafka-"))
        # Java joins this shell's process group. When the test process ends, even by kill -9, the pipe closes and the
        # shell takes data and nodes away. The terminal's Ctrl-C does not reach the group: tests can end in order.
        script = ["sh", "-c", 'read _; rm -rf "$0"; kill -KILL 0', str(self._directory)]
        self._lifeline = subprocess.Popen(script, stdin=subprocess.PIPE, process_group=0)
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        super().__init__(",".join(self._addresses.values()))
        try:
            self._format()
            for node in self._addresses:
                self._running[node] = self._java(node, *self._options, "kafka.Kafka", str(self._properties(node)))
            self._await_ready()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start_broker(self, node: int = 1) -> None:
        """Start a stopped node on its old ports and data; return when the running nodes are in step again."""
        self._running[node] = self._java(node, *self._options, "kafka.Kafka", str(self._properties(node)))
        self._await_ready()

    def stop_broker(self, node: int = 1, *, hard: bool = False) -> None:
        """Stop a node in order (SIGTERM) or as a crash would (`hard`, SIGKILL); its data stays."""
        process = self._running[node]
        process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
        process.wait(START_SECONDS)
        del self._running[node]

    def close(self) -> None:
        """Kill every node and delete its data."""
        os.killpg(self._lifeline.pid, signal.SIGKILL)
        for process in (*self._running.values(), self._lifeline):
            process.wait()
        if self._lifeline.stdin:
            self._lifeline.stdin.close()
        shutil.rmtree(self._directory)

    def log(self, node: int = 1) -> str:
        """The last lines that a node's Java wrote."""
        path = self._directory / f"node-{node}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-60:])

    def _format(self) -> None:
        for node, address in self._addresses.items():
            own = {
                "node.id": str(node),
                "log.dirs": str(self._directory / f"node-{node}"),
                "listeners": f"PLAINTEXT://{address},CONTROLLER://{self._voters[node]}",
                "controller.quorum.voters": ",".join(f"{n}@{voter}" for n, voter in self._voters.items()),
            }
            lines = [f"{key}={value}\n" for key, value in (self._settings | own).items()]
            self._properties(node).write_text("".join(lines))
        tool = ("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c")
        options = [option for option in self._options if not option.startswith(RECORD_CLASSES)]
        jobs = {n: self._java(n, *options, *tool, str(self._properties(n))) for n in self._addresses}
        for node, job in jobs.items():
            if job.wait(START_SECONDS):
                raise KafkaFailed(f"node {node} could not format its storage:\n{self.log(node)}")

    def _properties(self, node: int) -> Path:
        return self._directory / f"node-{node}.properties"

    def _java(self, node: int, *arguments: str) -> subprocess.Popen[bytes]:
        options = ["-cp", f"{self._jars}/*", "-Dlog4j2.level=INFO", f"-Djava.io.tmpdir={self._directory}"]
        with (self._directory / f"node-{node}.log").open("ab") as log:
            return subprocess.Popen(
                ["java", *options, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=self._lifeline.pid,
            )

    def _await_ready(self) -> None:
        nodes = set(self._running)

        def ready() -> bool:
            for node, process in self._running.items():
                if process.poll() is not None:
                    raise KafkaFailed(f"node {node} ended with code {process.returncode}:\n{self.log(node)}")
            return all(in_step(self._addresses[node], nodes) for node in nodes) and acknowledges(self.bootstrap)

        poll_until(ready, START_SECONDS, lambda: "Kafka is not ready:\n" + "\n".join(map(self.log, nodes)))


def shared_settings(nodes: int) -> dict[str, str]:
    """The broker settings that `nodes` nodes have in common: safe for data, quick for tests."""
    in_sync = min(nodes, 2)
    internal = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
    settings = {f"{topic}.replication.factor": nodes for topic in internal}
    # Four partitions instead of 50: an internal topic is there, and is recovered, in a moment.
    settings |= {f"{topic}.num.partitions": 4 for topic in internal}
    settings |= {f"{topic}.min.isr": in_sync for topic in internal[1:]}
    settings |= {
        "default.replication.factor": nodes,
        "min.insync.replicas": in_sync,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "group.consumer.min.session.timeout.ms": 1000,
        "group.consumer.min.heartbeat.interval.ms": 100,
        # A member of the new protocol cannot choose these; the defaults are 45 s and 5 s.
        "group.consumer.session.timeout.ms": 6000,
        "group.consumer.heartbeat.interval.ms": 500,
        # A crashed node is missed, and its successor let in, after 5 s; the default is 9 s.
        "broker.session.timeout.ms": 5000,
        "broker.heartbeat.interval.ms": 500,
        # How often timed-out transactions are looked for; the default is 10 s.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
    }
    return {key: str(value) for key, value in settings.items()} | {
        "process.roles": "broker,controller",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "auto.create.topics.enable": "false",
    }


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on.

    They lie below the ranges that systems take client ports from (Linux 32768, macOS and Windows 49152): a client
    that dials a stopped node over and over would one day be given the node's own port and keep it from coming back.
    """
    # Not by the generator that trainings seed: tests side by side would draw the same ports, before either listens.
    draw, found = random.SystemRandom(), list[int]()
    while len(found) < count:
        port = draw.randrange(20000, 32000)
        with socket.socket() as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found
