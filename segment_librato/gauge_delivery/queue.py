"""The queue of gauges: samples are folded together for as long as they wait.

Owns when a gauge leaves: at the end of the period of the clock in which its first sample came,
or at once if the queue is flushed or drained. So a source makes one measurement of a gauge a
period, however many samples it gives. The times that the samples bear have no say in it: late
ones are folded as they arrive.

Knows nothing of what samples add up to, of threads or of the network.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from segment_librato.gauge_delivery.aggregate import MultiSample
from segment_librato.process.locks import locked
from segment_librato.queue.message_queue import NEVER, MessageQueue

if TYPE_CHECKING:
    from segment_librato.errors import RejectionError
    from segment_librato.process.clock import Clock
    from segment_librato.queue.batch import BatchRules
    from segment_librato.queue.ledger import Lease

__all__ = ["GaugeQueue"]


class _Waiting:
    """What waits, and until when."""

    __slots__ = ("due_at", "item")

    def __init__(self, item: bytes | MultiSample, due_at: float) -> None:
        self.item = item
        self.due_at = due_at

    def __len__(self) -> int:
        """Return about how many bytes it will have."""
        return len(self.item)

    def __bytes__(self) -> bytes:
        """Return what leaves, which nothing is folded into any more."""
        if isinstance(self.item, MultiSample):
            self.item.seal()
        return bytes(self.item)


class GaugeQueue(MessageQueue):
    """A queue in which samples of the same gauge and period wait as one message. Thread-safe."""

    def __init__(
        self,
        max_size: int,
        rules: BatchRules,
        period: float,
        max_bytes: int = 0,
        clock: Clock | None = None,
    ) -> None:
        """Make an empty queue.

        Args:
            max_size: at most so many gauges wait, whatever their samples; 0 is no bound.
            rules: how large a batch may be, in bytes only about; `trigger` and `interval` do not
                matter.
            period: seconds; what came in one period, counted from the epoch, leaves at its end.
            max_bytes: at most about so many bytes wait; 0 is no bound.
            clock: what the waits go by.
        """
        self._period = period
        super().__init__(max_size, rules, max_bytes, clock)
        self._trigger_messages = self._trigger_bytes = NEVER  # nothing but the time makes it due

    def reset(self) -> None:
        """Forget all, as a forked child must: its parent delivers what waits."""
        super().reset()
        self._open: dict[tuple[str, str, int], MultiSample] = {}
        self._period_ends_at = -math.inf

    @locked
    def put(
        self, message: bytes | MultiSample, deadline: float | None = None
    ) -> RejectionError | None:
        """Take a message or samples in; return the reason if they are rejected.

        Samples are folded into those with their key that wait; without such they are a message.
        """
        if not isinstance(message, MultiSample):
            return self._append(message, deadline)
        waiting = self._open.get(message.key)
        if waiting is not None and not self._closed and waiting.fold(message):
            return None
        rejection = self._append(message, deadline)
        if rejection is None:
            self._open[message.key] = message
            if message.is_sealed():  # it has left: a signal handler flushed
                self._forget(message)
        return rejection

    # Under the lock

    def _append(self, item: bytes | MultiSample, deadline: float | None) -> RejectionError | None:
        waiting: Any = _Waiting(item, self._end_of_period())  # `_fill` makes bytes of it
        return super().put(waiting, deadline)

    def _end_of_period(self) -> float:
        """Return when the current period ends: the same number until then, then a later one.

        A change of the wall clock counts from the next period on.
        """
        now = self.clock.now()
        if now >= self._period_ends_at:
            self._period_ends_at = now + self._period - time.time() % self._period
        return self._period_ends_at

    def _due_at(self) -> float:
        return self._waiting[0].due_at if self._waiting else -math.inf

    def _may_leave(self) -> int:
        if self._is_urgent():
            return self._rules.max_messages
        # The clocks of tests may have stopped: the oldest is due, whatever they say.
        now = max(self.clock.now(), self._due_at())
        waiting = self._waiting.copy()  # a `__del__` may put one in meanwhile
        return min(bisect_right(waiting, now, key=attrgetter("due_at")), self._rules.max_messages)

    def _fill(self, lease: Lease, max_messages: int, max_bytes: int) -> bool:
        is_filled = super()._fill(lease, max_messages, max_bytes)
        waited: list[Any] = lease.messages[:]
        lease.messages[:] = map(bytes, waited)
        for waiting in waited:
            self._forget(waiting.item)
        return is_filled

    def _forget(self, item: bytes | MultiSample) -> None:
        if isinstance(item, MultiSample) and self._open.get(item.key) is item:
            self._open.pop(item.key, None)
