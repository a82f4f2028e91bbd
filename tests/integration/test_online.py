"""The numbers of an event's past are the same in a worker, whatever happens to it, as in a file of the events."""

import pyarrow.parquet as pq
import pytest

from tests import online, pacing
from tests.apache_kafka.endpoint import Endpoint

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS, DAYS = 12_000, 24


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


def test_what_differs_at_live_pacing_is_counted_as_late(kafka: Endpoint, case: online.Case) -> None:
    """Sent up to three hours late: no number differs but where an older event came later, and was counted."""
    events = pq.read_table(case.events)
    verdict = pacing.judged(kafka, case, pacing.shuffled(events, 3 * 3600), speed=DAYS * 86_400 / 8)
    assert verdict.different > 0
    assert verdict.unexplained == 0
    assert verdict.late == verdict.counted > 0
