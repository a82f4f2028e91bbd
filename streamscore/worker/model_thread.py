"""The model's own thread: it works on one batch while the loop reads and decodes the next."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from streamscore.core.scoring.bundle import Bundle
from streamscore.core.scoring.pipeline import Judged, Prepared, judge


class InHand(NamedTuple):
    """A batch that the model has, with the bundle that judges it."""

    bundle: Bundle
    prepared: Prepared
    judged: Future[Judged]


class ModelThread:
    """At most one batch is in hand: the order of batches is the order of their publication."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "model")
        self._in_hand: InHand | None = None

    def give(self, bundle: Bundle, prepared: Prepared, beside: bool) -> None:
        """Begin with a batch; the one before must have been taken. Not `beside` the caller: it is done on return.

        At a trickle the caller has nothing to do beside it, and waking a thread costs as much as the model.
        """
        if beside:
            judged = self._pool.submit(judge, bundle, prepared.matrix)
        else:
            judged = Future()
            judged.set_result(judge(bundle, prepared.matrix))
        self._in_hand = InHand(bundle, prepared, judged)

    def take(self) -> InHand | None:
        """The batch in hand, no longer so; its `judged` may still have to be waited for."""
        in_hand, self._in_hand = self._in_hand, None
        return in_hand
