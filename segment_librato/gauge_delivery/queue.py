"""The queue of gauges: samples of one gauge, source and period wait as one.

Owns when a gauge leaves: at the end of the period in which its first sample arrived, or at once
if the queue is flushed or drained. So each source sends one measurement of a gauge per period,
however many samples it takes. Only the time of arrival matters: late samples are folded as they
arrive, whatever their `measure_time`.

A call takes no lock: it folds its samples into a waiting gauge, or puts a new gauge into the queue
and into the table of open gauges, in a single step. Must not know what samples add up to, or the
network.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from functools import partial
from itertools import compress, starmap, tee
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from segment_librato.gauge_delivery.aggregate import MultiSample
from segment_librato.process.clock import Clock
from segment_librato.queue.message_queue import REFUSED, MessageQueue
from segment_librato.queue.schedule import UNBOUNDED, Schedule

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator

    from segment_librato.queue.schedule import BatchRules, Item

__all__ = ["GaugeQueue", "PeriodSchedule"]

MAX_NEXT_ENDS = 100

_Key: TypeAlias = tuple[str, str, int]


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
        self._next_ends: dict[float, float] = {}  # the end of each period to that of the next

    def end_of_period(self) -> float:
        """Return when the current period ends: the same number until then, then a later one.

        A change of the wall clock takes effect with the next period.
        """
        now, ends_at = self._clock.now(), self._period_ends_at
        if now < ends_at:
            return ends_at
        # The first thread to get here decides for all.
        next_end = now + self._period - time.time() % self._period
        self._period_ends_at = next_end = self._next_ends.setdefault(ends_at, next_end)
        if len(self._next_ends) > MAX_NEXT_ENDS:
            self._next_ends.clear()
        return next_end

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

    __slots__ = ("due_at", "item", "open_gauges")

    def __init__(self, item: bytes | Item, due_at: float, open_gauges: _OpenGauges) -> None:
        self.item = item
        self.due_at = due_at
        self.open_gauges = open_gauges

    def __len__(self) -> int:
        """Return about how many bytes it will be."""
        return len(self.item)

    @property
    def segment(self) -> Any:  # noqa: ANN401  see `queue.spooled`
        """What has to be told of its outcome, with a spool."""
        return getattr(self.item, "segment", None)

    def __bytes__(self) -> bytes:
        """Return what leaves; nothing is folded into it any more."""
        data = bytes(self.item)
        if isinstance(self.item, MultiSample):  # sealed now, so a call may replace it already
            _close(self.open_gauges, self.item.key, self)
        return data


_OpenGauges: TypeAlias = dict[_Key, _Waiting]


def _close(open_gauges: _OpenGauges, key: _Key, waiting: _Waiting) -> None:
    """Fold nothing more into a gauge that is sealed."""
    if open_gauges.get(key) is waiting:
        open_gauges.pop(key, None)


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

    def offer(
        self, message: bytes | Item, *, has_room: bool = False
    ) -> Literal["due", "refused"] | None:
        """Take a message or samples in; see `MessageQueue.offer`.

        Samples are folded into a waiting gauge with the same key, for which there is always room.
        If there is none, they become one.
        """
        if not isinstance(message, MultiSample):
            waiting = _Waiting(message, self._periods.end_of_period(), self._open)
            return super().offer(waiting, has_room=has_room)
        if self._closed and not has_room:
            return REFUSED
        while not self._fold(message):
            if not has_room and (self._line or not self._has_room(len(message) + 1)):
                return REFUSED
            if self._append(message):
                return self._wake() if len(self._waiting) >= self._wake_at_messages else None
        return None

    def _fold(self, samples: MultiSample) -> bool:
        """Fold samples into the open gauge with their key; return False if there is none."""
        waiting = self._open.get(samples.key)
        if waiting is None:
            return False
        if isinstance(waiting.item, MultiSample) and waiting.item.fold(samples):
            return True
        _close(self._open, samples.key, waiting)  # a consumer has just taken it
        return False

    def _append(self, samples: MultiSample) -> bool:
        """Let samples wait as an open gauge; return False if there is one with their key."""
        gauge = _Waiting(samples, self._periods.end_of_period(), self._open)
        size = len(samples) + 1
        entries, entry = tee(map(self._open.setdefault, (samples.key,), (gauge,)))
        if_new: Iterator[_Waiting] = filter(partial(is_, gauge), entries)
        if samples.outside:  # it is told in the same call
            if_new = compress(if_new, starmap(samples.outside.pop, [()]))
        self._waiting_bytes += size  # before, as in `MessageQueue.offer`
        # One call, and all in C: no other call can find the gauge open unless it waits, and
        # Ctrl-C cannot come in between.
        self._waiting.extend(if_new)
        if next(entry) is not gauge:
            self._waiting_bytes -= size
            return False
        return True
