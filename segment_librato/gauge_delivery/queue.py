"""The queue of gauges: samples of one gauge, source and period wait as one.

Owns when a gauge leaves: at the end of the period in which its first sample arrived, or at once
if the queue is flushed or drained. So each source sends one measurement of a gauge per period,
however many samples it takes. Only the time of arrival matters: late samples are folded as they
arrive, whatever their `measure_time`.

Must not know what samples add up to, threads or the network.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from segment_librato.gauge_delivery.aggregate import MultiSample
from segment_librato.process.clock import Clock
from segment_librato.process.locks import synchronized
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.schedule import UNBOUNDED, Schedule

if TYPE_CHECKING:
    from collections import deque

    from segment_librato.errors import RejectionError
    from segment_librato.queue.schedule import BatchRules, Item

__all__ = ["GaugeQueue", "PeriodSchedule"]

_OpenGauges: TypeAlias = dict[tuple[str, str, int], MultiSample]


class PeriodSchedule(Schedule):
    """A gauge is due at the end of the period in which it arrived, and at no other time."""

    def __init__(self, rules: BatchRules, period: float, clock: Clock) -> None:
        """Make a schedule.

        Args:
            rules: how large a batch may be; `trigger` and `interval` are ignored.
            period: seconds, counted from the epoch; what arrives in a period leaves at its end.
            clock: the clock of deadlines.
        """
        super().__init__(rules, UNBOUNDED, UNBOUNDED)
        self.trigger_messages: int = UNBOUNDED
        self.trigger_bytes: int = UNBOUNDED
        self._period = period
        self._clock = clock
        self._period_ends_at = -math.inf

    def end_of_period(self) -> float:
        """Return when the current period ends: the same number until then, then a later one.

        A change of the wall clock takes effect with the next period.
        """
        now = self._clock.now()
        if now >= self._period_ends_at:
            self._period_ends_at = now + self._period - time.time() % self._period
        return self._period_ends_at

    def due_at(self, waiting: deque[Any], oldest_at: float) -> float:
        """Return when the oldest gauge is due."""
        return waiting[0].due_at if waiting else -math.inf

    def max_leaving(self, waiting: deque[Any], now: float) -> int:
        """Return how many gauges are due, at most as many as a batch may hold."""
        # Even if a test has stopped the clocks, the oldest gauge is due.
        now = max(now, self.due_at(waiting, now))
        snapshot = waiting.copy()  # a `__del__` may put one in meanwhile
        due = bisect_right(snapshot, now, key=attrgetter("due_at"))
        return min(due, self.rules.max_messages)


class _Waiting:
    """A message or a gauge that waits, and until when."""

    __slots__ = ("_item", "_open", "due_at")

    def __init__(self, item: bytes | Item, due_at: float, open_gauges: _OpenGauges) -> None:
        self._item = item
        self._open = open_gauges
        self.due_at = due_at

    def __len__(self) -> int:
        """Return about how many bytes it will be."""
        return len(self._item)

    def __bytes__(self) -> bytes:
        """Return what leaves; nothing is folded into it any more."""
        item = self._item
        if isinstance(item, MultiSample) and self._open.get(item.key) is item:
            self._open.pop(item.key, None)
        return bytes(item)


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
            max_size: maximum number of waiting gauges, not of samples; 0 means unlimited.
            rules: how large a batch may be; its size in bytes is an estimate.
            period: seconds; see `PeriodSchedule`.
            max_bytes: maximum number of waiting bytes, an estimate; 0 means unlimited.
            clock: the clock of waits.
        """
        clock = clock or Clock()
        self._periods = PeriodSchedule(rules, period, clock)
        super().__init__(max_size, rules, max_bytes, clock, self._periods)

    def reset(self) -> None:
        """Forget everything, as a forked child must: its parent delivers what waits."""
        super().reset()
        # The gauges that samples can be folded into. (Not weak references: what Ctrl-C raises in
        # one of their callbacks would be lost.)
        self._open: _OpenGauges = {}

    @synchronized
    def put(self, message: bytes | Item, deadline: float | None = None) -> RejectionError | None:
        """Take a message or samples in; return the reason if they are rejected.

        Samples are folded into a waiting gauge with the same key. If there is none, they become
        one. If a signal handler puts one in meanwhile, there are two, and nothing is lost.
        """
        if isinstance(message, MultiSample):
            waiting = self._open.get(message.key)
            if waiting is not None and not self.closed and waiting.fold(message):
                return None
        waiting_until = self._periods.end_of_period()
        rejection = super().put(_Waiting(message, waiting_until, self._open), deadline)
        if rejection is None and isinstance(message, MultiSample):
            self._open[message.key] = message
            if message.is_sealed():  # it has left already: a signal handler flushed
                self._open.pop(message.key, None)
        return rejection
