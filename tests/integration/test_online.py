"""The numbers of an event's past are the same in a worker, whatever happens to it, as in a file of the events."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from tests.evidence import online, pacing
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import START, Books, road, until, worker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS, DAYS = 12_000, 24
DAY = 86_400_000_000  # µs


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> online.Case:
    """Made-up transactions, and a model of their event type."""
    return online.prepared(online.made(EVENTS, DAYS), tmp_path_factory.mktemp("online"))


def test_a_backlog_gives_the_numbers_of_the_file(kafka: Endpoint, case: online.Case) -> None:
    """Two workers, one killed with -9 and started again, publish every feature of the file to the last bit."""
    wrong = online.compared(kafka, case, workers=2)
    assert not any(wrong.values()), wrong


def test_the_comparison_can_fail(kafka: Endpoint, case: online.Case) -> None:
    """A worker that takes partitions as they come gets hundreds of numbers wrong, and those of customers right."""
    wrong = online.compared(kafka, case, workers=1, program=online.CARELESS)
    assert wrong["terminal_nb_tx_1day"] > 100, wrong
    assert wrong["customer_nb_tx_7day_window"] == 0


def test_a_worker_goes_on_from_a_snapshot(kafka: Endpoint, case: online.Case) -> None:
    """Killed with -9 and started from a snapshot, it gives the numbers of the file to every event."""
    way, logs = online.restarted(kafka, case, restarts=1)
    wrong = online.differences(way, online.offline(case))
    assert not any(wrong.values()), wrong
    assert [online.RESTORED in log for log in logs] == [False, True]


def test_nothing_that_is_silent_holds_the_others_up(kafka: Endpoint, case: online.Case, tmp_path: Path) -> None:
    """A partition that is empty, one silent for a year, one behind an open transaction, one of equal times only."""
    way = road(kafka, case.store, online.PARTITIONS, online.EVENT_TYPE)
    at = [
        START - (450 - day) * DAY for day in (400, 400, 0, 401, 402)
    ]  # equal, equal, a year ago, before and in a transaction
    parts = [(0, 3000, at[0]), (0, 1, at[0] + DAY), (2, 1, at[2]), (3, 5, at[3])]
    ids = iter(range(10_000))
    plain = Producer({"bootstrap.servers": way.bootstrap})
    for partition, count, time in parts:
        for _ in range(count):
            plain.produce(way.input, payment(next(ids), time), partition=partition)
    assert plain.flush(30) == 0
    hung = Producer(
        {"bootstrap.servers": way.bootstrap, "transactional.id": way.input, "transaction.timeout.ms": 600_000}
    )
    hung.init_transactions(30)
    hung.begin_transaction()
    hung.produce(way.input, payment(next(ids), at[4]), partition=3)
    assert hung.flush(30) == 0
    plain.produce(way.input, payment(next(ids), at[4] + 1), partition=3)
    assert plain.flush(30) == 0
    books = Books(way)
    with worker(way, tmp_path, {"history.allow_partial": True}) as running:
        until(lambda: books.read() == 3007, 60, "all is scored but what the transaction holds back", running.alive)
        hung.abort_transaction(30)
        until(lambda: books.read() == 3008, 60, "what came behind it as well", running.alive)
    books.close()


def payment(number: int, at: int) -> bytes:
    """A payment at a time (µs), each of another customer at the same terminal."""
    moment = datetime.fromtimestamp(at / 1e6, UTC).isoformat()
    row = {"transaction_id": number, "occurred_at": moment, "customer_id": number, "terminal_id": 1, "amount": 9.5}
    return json.dumps(row).encode()


def test_what_differs_at_live_pacing_is_counted_as_late(kafka: Endpoint, case: online.Case) -> None:
    """Sent up to three hours late: no number differs but where an older event came later, and was counted."""
    events = pq.read_table(case.events)
    verdict = pacing.judged(kafka, case, pacing.shuffled(events, 3 * 3600), speed=DAYS * 86_400 / 8)
    assert verdict.different > 0
    assert verdict.unexplained == 0
    assert verdict.late == verdict.counted > 0
