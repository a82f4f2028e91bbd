"""HTTP for Prometheus and Kubernetes: /metrics, /livez, /readyz. Read-only, loopback unless configured."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from streamscore.errors import SettingsError
from streamscore.settings.schema import Http

# A loop that has not turned for this long is stuck: a model is warmed on another thread, an outage
# is waited for in slices of a second, and Kafka puts a member out after 300 s.
STUCK_SECONDS = 60.0
# Before its first turn models are loaded and compiled, which takes minutes where processors are scarce.
START_SECONDS = 600.0


class Heartbeat:
    """What the worker's loop says of itself to the probes: a clock it winds, a reason it is not ready."""

    def __init__(self, patience: float = STUCK_SECONDS) -> None:
        """`patience` is how long the loop may take for a turn, in seconds."""
        self._patience, self._begun = patience, False
        self._turned = time.monotonic()
        self.waiting_for: str | None = "start"

    def turn(self, waiting_for: str | None) -> None:
        self._turned, self._begun = time.monotonic(), True
        self.waiting_for = waiting_for

    def stuck(self) -> bool:
        patience = self._patience if self._begun else max(self._patience, START_SECONDS)
        return time.monotonic() - self._turned > patience

    def problem(self) -> str | None:
        """Why the worker is not ready; None when it is."""
        return "the loop, which is stuck" if self.stuck() else self.waiting_for


def serve(http: Http, registry: CollectorRegistry, heartbeat: Heartbeat) -> ThreadingHTTPServer:
    """Start answering on a thread of its own; the port taken is in `server_address`."""
    answers: dict[str, Callable[[], tuple[int, str, bytes]]] = {
        "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
        "/livez": lambda: _said(heartbeat.problem() if heartbeat.stuck() else None),
        "/readyz": lambda: _said(heartbeat.problem()),
    }

    class Handler(BaseHTTPRequestHandler):
        timeout = 5  # a client that sends nothing must not hold a thread

        def do_GET(self) -> None:
            answer = answers.get(self.path.split("?")[0])
            status, kind, body = answer() if answer else (404, "text/plain", b"not here\n")
            with suppress(ConnectionError):  # a client that gave up waiting is not worth a log line either
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not worth a log line."""

    try:
        server = ThreadingHTTPServer((http.host, http.port), Handler)
    except OSError as error:
        raise SettingsError(
            f"http: cannot listen on {http.host}:{http.port}: {error.strerror}; choose another port, or 0 for any"
        ) from None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="probe", daemon=True).start()
    return server


def _said(problem: str | None) -> tuple[int, str, bytes]:
    text = f"waiting for {problem}" if problem else "ok"
    return (503 if problem else 200), "text/plain; charset=utf-8", f"{text}\n".encode()
