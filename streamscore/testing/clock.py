"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta


class FixedClock:
    """A clock for a worker: `Worker(..., clock=FixedClock(at))`.

    `at` is a time with a zone; ValueError without one.

    Example:
        >>> from datetime import UTC, datetime, timedelta
        >>> from streamscore.testing import FixedClock
        >>> clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
        >>> clock.move(timedelta(hours=1))
        >>> clock().hour
        1
    """

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("a fixed clock needs a time with a zone")
        self._at = at.astimezone(UTC)

    def __call__(self) -> datetime:
        """The time at which it stands, in UTC."""
        return self._at

    def move(self, by: timedelta) -> None:
        """Move it."""
        self._at += by
