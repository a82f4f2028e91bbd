"""A dead letter that is too long for its topic goes out less its longest part, and never for ever."""

from typing import Any

import pytest

from streamscore.core.events.decode import DeadLetter
from streamscore.core.events.record import Headers, Record
from streamscore.core.scoring.decision import Message
from streamscore.core.scoring.pipeline import dead_letter_message
from streamscore.kafka.clients import as_record
from streamscore.kafka.sink import shortened

WHY = DeadLetter("bad_json", "", "not JSON")


def dead_letter(key: bytes | None, value: bytes | None, headers: Headers | None = None) -> Message:
    return dead_letter_message(Record("events", 3, 7, -1, key, value, headers), WHY)


def left_out(message: Message) -> list[bytes | None]:
    return [value for name, value in message.headers or [] if name == "streamscore.dead_letter.left_out"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (dead_letter(b"k", b"v" * 90), [b"value of 90 bytes", b"key of 1 bytes"]),
        (dead_letter(b"k" * 80, b"v"), [b"key of 80 bytes", b"value of 1 bytes"]),
        (dead_letter(None, b"v", [("h", b"x" * 70)]), [b"headers of 71 bytes", b"value of 1 bytes"]),
        (dead_letter(None, None), []),
    ],
)
def test_the_longest_part_goes_first(message: Message, expected: list[bytes]) -> None:
    """Each time the longest part that is left goes, and is named; in the end there is nothing to leave out."""
    where = [header for header in message.headers or [] if header[0].endswith((".topic", ".partition", ".offset"))]
    shorter: Message | None = message
    for count in range(1, len(expected) + 1):
        assert shorter is not None
        shorter = shortened(shorter)
        assert shorter is not None
        assert left_out(shorter) == expected[:count]
        assert [header for header in shorter.headers or [] if header in where] == where
    assert shorter is not None
    assert (shorter.key, shorter.value) == (None, None)
    assert shortened(shorter) is None


class Strange:
    """What the client gives for a record with a header name that is not UTF-8."""

    def __getattr__(self, name: str) -> Any:
        values = {"topic": "events", "partition": 0, "offset": 5, "timestamp": (1, 9), "key": b"k", "value": b"v"}
        return lambda: values[name]

    def headers(self) -> Headers:
        raise SystemError("<method 'headers'> returned a result with an exception set")


def test_a_header_that_is_not_utf8_does_not_end_the_worker() -> None:
    """Its record comes through with all that can be read, and says what could not."""
    assert as_record(Strange()) == Record("events", 0, 5, 9, b"k", b"v", None, unreadable=True)
