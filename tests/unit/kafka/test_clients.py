"""Asking a broker: an answer is waited for by whoever asked."""

import subprocess
import sys
import threading
import weakref
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from streamscore.kafka import topics
from streamscore.settings.schema import Kafka
from tests.support.paths import ROOT


class Client:
    """An admin client that answers after a moment, if anybody still holds it; of a topic that is refused, never."""

    def describe_topics(self, topics: object, request_timeout: float) -> dict[str, Future[SimpleNamespace]]:
        held, futures = weakref.ref(self), {name: Future[SimpleNamespace]() for name in ("payments", "secret")}

        def answer() -> None:
            if held():
                futures["payments"].set_result(SimpleNamespace(topic_id="id-1"))

        threading.Timer(0.05, answer).start()
        return futures


def test_topic_ids_are_waited_for_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client lives until it has answered; a topic of which nothing is said is left out after a while."""
    monkeypatch.setattr(topics, "admin", lambda _: Client())
    monkeypatch.setattr(topics, "ANSWER_SECONDS", 0.5)
    assert topics.topic_ids(Kafka(), ["payments", "secret"]) == {"payments": "id-1"}


def test_the_clients_log_is_quiet_only_where_there_is_a_client() -> None:
    """An import changes no logger; any number of clients add the one filter once."""
    code = (
        "import logging\n"
        "from streamscore.kafka.clients import QUIET, admin, log\n"
        "from streamscore.settings.schema import Kafka\n"
        "assert log.filters == []\n"
        "clients = [admin(Kafka(bootstrap='127.0.0.1:1')) for _ in range(3)]\n"
        "assert log.filters == [QUIET]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
