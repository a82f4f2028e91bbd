"""A partition that gives nothing is waited for, and not for ever."""

import pytest

from streamscore.core.events.record import Record
from streamscore.kafka.stalled import SILENT_SECONDS, StalledPartitions

ONE, OTHER = ("events", 0), ("events", 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("streamscore.kafka.stalled.time.monotonic", lambda: now[0])
    return now


def came(partition: tuple[str, int]) -> list[Record]:
    return [Record(*partition, 1, -1, None, b"", None)]


def test_it_is_left_out_after_a_while(clock: list[float]) -> None:
    """A partition that has more and gives nothing is left out after 20 s; one that gives something is not."""
    silence = StalledPartitions()
    assert silence.among({ONE, OTHER}, connected=True) == set()
    clock[0] += SILENT_SECONDS
    silence.broken_by(came(OTHER))
    assert silence.among({ONE, OTHER}, connected=True) == set()
    clock[0] += 0.1
    assert silence.among({ONE, OTHER}, connected=True) == {ONE}
    assert silence.told == {ONE}


def test_it_is_waited_for_again_once_it_speaks(clock: list[float]) -> None:
    """Its first record, or its end, ends the silence."""
    silence = StalledPartitions()
    silence.among({ONE, OTHER}, connected=True)
    clock[0] += SILENT_SECONDS + 1
    assert silence.among({ONE, OTHER}, connected=True) == {ONE, OTHER}
    silence.broken_by(came(ONE))
    assert silence.among({ONE}, connected=True) == set()
    assert silence.told == set()


def test_an_outage_is_no_silence(clock: list[float]) -> None:
    """While no broker answers nobody counts as silent, nor at once when one is back."""
    silence = StalledPartitions()
    silence.among({ONE}, connected=True)
    clock[0] += SILENT_SECONDS + 1
    assert silence.among({ONE}, connected=False) == set()
    assert silence.among({ONE}, connected=True) == set()
    clock[0] += SILENT_SECONDS + 1
    assert silence.among({ONE}, connected=True) == {ONE}
