"""Eleven kinds of messages that are no events, strewn into a stream: none stops it, none spoils its neighbours."""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import KafkaError, Message, Producer

from tests.integration.conftest import Position, position, published
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import Books, Road, road, transactions, worker

pytestmark = pytest.mark.kafka

CANARY = "4929-CANARY-1234"  # stands in every bad payload, and may stand nowhere but there
PARTITIONS = 4
HEADER = "streamscore.dead_letter."


class Kind(NamedTuple):
    """A way to spoil an event, and what its dead letter must say of it."""

    spoil: Callable[[dict[str, object], int], bytes | None]
    reason: str
    field: str = ""


def body(event: dict[str, object], **changes: object) -> bytes:
    return json.dumps(event | changes).encode()


def without(event: dict[str, object], name: str) -> bytes:
    return body({key: value for key, value in event.items() if key != name})


KINDS = {
    "bad JSON": Kind(lambda event, _: body(event)[:-1] + f', "{CANARY}": nonsense}}'.encode(), "bad_json"),
    "truncated": Kind(lambda event, n: body(event)[: 40 + n % 60], "truncated"),
    "over-long": Kind(lambda event, _: body(event, note=CANARY * 5_000), "too_long"),
    "bad UTF-8": Kind(lambda event, _: body(event).replace(CANARY.encode(), CANARY.encode() + b"\xff"), "bad_utf8"),
    "missing field": Kind(lambda event, _: without(event, "currency"), "missing_field", "currency"),
    "wrong type": Kind(lambda event, _: body(event, amount=CANARY), "wrong_type", "amount"),
    "out of range": Kind(lambda event, _: body(event, account_age=-1), "out_of_range", "account_age"),
    "duplicate key": Kind(
        lambda event, _: body(event)[:-1] + f', "terminal_id": "{CANARY}"}}'.encode(), "duplicate_key", "terminal_id"
    ),
    "unknown value": Kind(lambda event, _: body(event, channel=CANARY), "unknown_value", "channel"),
    "no value": Kind(lambda _, n: None if n % 2 else b"", "empty"),
    "in the future": Kind(lambda event, _: body(event, occurred_at="2999-01-01T00:00:00Z"), "in_future", "occurred_at"),
}


class Sent(NamedTuple):
    """A message as it was sent: what kind it is, None for a good one, and its number."""

    kind: str | None
    number: int
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    event_id: str


class Audit(NamedTuple):
    """What became of a stream with poison in it."""

    events: int
    poison: dict[str, int]  # sent, by kind
    good_lost: int  # good events without a score of their own
    duplicates: int
    wrong: int  # poison without a dead letter that is the record and says what must be said
    problems: list[str]  # what is wrong, up to ten of it
    leaks: list[str]  # where the payload's text stands and must not

    @property
    def holds(self) -> bool:
        return not (self.good_lost or self.duplicates or self.wrong or self.problems or self.leaks)


def poisoned(kafka: Endpoint, store: Path, folder: Path, events: int) -> Audit:
    """Send so many events, one in a hundred of each kind of poison, and look at all that comes out."""
    path = road(kafka, store, PARTITIONS)
    with worker(path, folder) as running:
        sent = send(path, stream(events))
        books = Books(path)
        books.await_all(60 + events / 500, running.alive)
        exit_code, log = running.terminate(), running.log()
    books.read()
    books.close()
    scores, letters = (published(kafka.bootstrap, path.outputs[name]) for name in ("scores", "dead_letters"))
    good = {(p, offset) for (_, p, offset), (source, _) in sent.items() if source.kind is None}
    bad = {(p, offset) for _, p, offset in sent} - good
    of_scores = [problem for score in scores if (problem := score_problem(sent, path.input, score))]
    of_letters = [problem for letter in letters if (problem := letter_problem(sent, letter))]
    leaks = [f"header of {said(letter)}" for letter in letters if CANARY.encode() in b"".join(said(letter).values())]
    return Audit(
        events=len(sent),
        poison=dict(Counter(source.kind for source, _ in sent.values() if source.kind)),
        good_lost=len(good - books.scores.keys()) + len(of_scores),
        duplicates=books.duplicates(),
        wrong=len(bad - books.dead.keys()) + len(of_letters),
        problems=[*([f"exit code {exit_code}"] if exit_code else []), *of_scores, *of_letters][:10],
        leaks=[*leaks[:10], *(["log"] if CANARY in log else [])],
    )


def stream(events: int) -> list[Sent]:
    """Simulated payments; a hundredth of each kind of poison takes the place of some, anywhere."""
    places = random.Random(1).sample(range(events), events // 100 * len(KINDS))
    kinds = dict(zip(places, list(KINDS) * (events // 100), strict=True))
    return [message(kinds.get(number), number, line) for number, (_, line) in enumerate(transactions(events))]


def message(kind: str | None, number: int, line: bytes | None) -> Sent:
    event = json.loads(line or b"")
    headers = [("number", str(number).encode()), ("number", b"\x00\xff"), ("nothing", None)]
    value = line
    if kind:  # the canary first, where also a value cut short has it
        value = KINDS[kind].spoil(
            {"customer_id": CANARY} | {k: v for k, v in event.items() if k != "customer_id"}, number
        )
    return Sent(kind, number, f"key-{number}".encode(), value, headers, event["event_id"])


def send(path: Road, messages: list[Sent]) -> dict[Position, tuple[Sent, int]]:
    """Send them; each with its timestamp, by where Kafka says that it put it."""
    found: dict[Position, tuple[Sent, int]] = {}

    def delivered(sent: Sent) -> Callable[[KafkaError | None, Message], None]:
        def report(error: KafkaError | None, message: Message) -> None:
            assert error is None
            found[position(message)] = sent, message.timestamp()[1]

        return report

    client = Producer({"bootstrap.servers": path.bootstrap, "enable.idempotence": True, "linger.ms": 5})
    for sent in messages:
        headers: Any = sent.headers
        client.produce(path.input, sent.value, sent.key, headers=headers, on_delivery=delivered(sent))
        while len(client) > 10_000:
            client.poll(0.1)
    assert client.flush(60) == 0
    assert len(found) == len(messages)
    return found


def score_problem(sent: dict[Position, tuple[Sent, int]], topic: str, score: Message) -> str | None:
    """What is wrong with a score: it must be that of the good event at the coordinates it names."""
    content = json.loads(score.value() or b"")
    source, _ = sent[topic, content["partition"], content["offset"]]
    if source.kind:
        return f"{source.kind} was scored"
    same = (content["event_id"], score.key()) == (source.event_id, source.key)
    return None if same else f"the score of {source.event_id} has another's id or key"


def letter_problem(sent: dict[Position, tuple[Sent, int]], letter: Message) -> str | None:
    """What is wrong with a dead letter: it must be the record byte for byte, and say where it stood and why."""
    headers: Any = letter.headers() or []
    ours = said(letter)
    source, timestamp = sent[ours["topic"].decode(), int(ours["partition"]), int(ours["offset"])]
    if source.kind is None:
        return f"the good event {source.event_id} is a dead letter: {ours}"
    kind = KINDS[source.kind]
    if (letter.key(), letter.value(), headers[: len(source.headers)]) != (source.key, source.value, source.headers):
        return f"{source.kind}: not the record that was sent"
    expected = {"reason": kind.reason, "field": kind.field, "timestamp": str(timestamp)}
    if {name: ours[name].decode() for name in expected} != expected or not ours["error"]:
        return f"{source.kind}: {ours}"
    return None if len(headers) == len(source.headers) + len(ours) == len(source.headers) + 7 else "too many headers"


def said(letter: Message) -> dict[str, bytes]:
    """What the worker's own headers say."""
    headers: Any = letter.headers() or []
    own = [(name.removeprefix(HEADER), value) for name, value in headers if name.startswith(HEADER)]
    return {name: value or b"" for name, value in own}


@pytest.fixture(scope="module")
def audit(kafka: Endpoint, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """The short form: fifty of each kind in five thousand events."""
    return poisoned(kafka, store, tmp_path_factory.mktemp("poison"), 5_000)


def test_every_kind_was_sent(audit: Audit) -> None:
    """The stream held as many of each of eleven kinds as it should."""
    assert audit.poison == dict.fromkeys(KINDS, 50)
    assert len(KINDS) == 11


def test_no_neighbour_is_lost(audit: Audit) -> None:
    """Each good event has one score with its own id and key; no output comes twice."""
    assert (audit.events, audit.good_lost, audit.duplicates) == (5_000, 0, 0), audit.problems


def test_dead_letters_are_the_record_and_its_reason(audit: Audit) -> None:
    """Each dead letter is the record byte for byte, with its place, its own reason and its field."""
    assert audit.problems == []
    assert audit.wrong == 0


def test_no_payload_in_headers_or_log(audit: Audit) -> None:
    """What a payload said stands in no header of a dead letter and nowhere in the log."""
    assert audit.leaks == []
    assert audit.holds
