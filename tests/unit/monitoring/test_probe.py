"""The probes over real HTTP on a free port of the loopback."""

import http.client
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamscore.errors import SettingsError
from streamscore.monitoring.metrics import Metrics
from streamscore.monitoring.probe import Heartbeat, serve
from streamscore.settings.schema import Http

PULSE = Heartbeat()


@pytest.fixture
def heartbeat() -> Heartbeat:
    """The heartbeat of the server under test, as it is before the loop first turns."""
    PULSE.turn(Heartbeat().waiting_for)
    return PULSE


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    found = serve(Http(port=0), Metrics().registry, PULSE)
    yield found
    found.shutdown()
    found.server_close()


def asked(server: ThreadingHTTPServer, path: str, method: str = "GET") -> tuple[int, str, str]:
    """Status, content type and body of an answer."""
    client = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    try:
        client.request(method, path)
        answer = client.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode()
    finally:
        client.close()


def test_metrics_are_prometheus_text(server: ThreadingHTTPServer) -> None:
    """/metrics gives text that a Prometheus parser reads, with a query string too."""
    for path in ("/metrics", "/metrics?x=1"):
        status, kind, text = asked(server, path)
        assert status == 200
        assert kind.startswith("text/plain; version=")
        assert "streamscore_ready" in {family.name for family in text_string_to_metric_families(text)}


def test_ready_only_when_nothing_is_waited_for(server: ThreadingHTTPServer, heartbeat: Heartbeat) -> None:
    """/readyz says what is waited for until the loop turns without waiting, and again when it waits again."""
    assert asked(server, "/readyz")[::2] == (503, "waiting for start\n")
    heartbeat.turn("a broker")
    assert asked(server, "/readyz")[::2] == (503, "waiting for a broker\n")
    heartbeat.turn(None)
    assert asked(server, "/readyz")[::2] == (200, "ok\n")
    heartbeat.turn("an assignment")
    assert asked(server, "/readyz")[0] == 503


def test_alive_while_it_waits(server: ThreadingHTTPServer, heartbeat: Heartbeat) -> None:
    """/livez is ok while the loop turns, whatever it waits for: a restart would not bring the broker back."""
    heartbeat.turn("a broker")
    assert asked(server, "/livez")[::2] == (200, "ok\n")


def test_a_stuck_loop_is_neither(
    server: ThreadingHTTPServer, heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that has not turned for too long fails both probes, and says so."""
    heartbeat.turn(None)
    monkeypatch.setattr(heartbeat, "_patience", -1.0)
    for path in ("/livez", "/readyz"):
        status, _, text = asked(server, path)
        assert status == 503
        assert "stuck" in text


def test_a_start_may_take_longer_than_a_turn() -> None:
    """Loading and compiling models is no stuck loop, which a restart would only begin again."""
    heartbeat = Heartbeat(patience=-1.0)
    assert heartbeat.problem() == "start"
    heartbeat.turn(None)
    assert heartbeat.stuck()


@pytest.mark.parametrize("path", ["/", "/metrics/x", "/..%2f..%2fetc/passwd", "/healthz"])
def test_other_paths(server: ThreadingHTTPServer, path: str) -> None:
    """Anything else is not there."""
    assert asked(server, path)[::2] == (404, "not here\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_read_only(server: ThreadingHTTPServer, method: str) -> None:
    """Nothing can be written."""
    assert asked(server, "/metrics", method)[0] == 501


def test_port_in_use(server: ThreadingHTTPServer) -> None:
    """A port that is taken is an error of the settings, with the address in it."""
    port = server.server_address[1]
    with pytest.raises(SettingsError, match=f"http: cannot listen on 127.0.0.1:{port}: Address already in use"):
        serve(Http(port=port), Metrics().registry, Heartbeat())


def test_loopback_by_default() -> None:
    """Unless configured, nobody outside the machine is answered."""
    assert Http().host == "127.0.0.1"
