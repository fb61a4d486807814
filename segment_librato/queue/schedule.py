"""When a batch is due, and how much of what waits may leave in it.

A schedule decides; the queue does. `Schedule` is the one for messages: a batch leaves when enough
waits or the oldest message has waited long enough. Must not know locks, threads or the network.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from itertools import accumulate, count, islice
from operator import add
from typing import TYPE_CHECKING, Any, NamedTuple

from segment_librato.foreign.interruption import is_interruption

if TYPE_CHECKING:
    from abc import abstractmethod
    from collections import deque
    from collections.abc import Callable, Collection, Iterable
    from typing import Protocol

    class Item(Protocol):
        """An entry of a queue that is not bytes yet: it becomes bytes when it leaves."""

        @abstractmethod
        def __len__(self) -> int:
            """Return about how many bytes it will be; always the same number."""

        @abstractmethod
        def __bytes__(self) -> bytes:
            """Return what leaves; from then on it does not change."""


__all__ = ["UNBOUNDED", "BatchRules", "Schedule", "count_fitting", "lengths", "oldest"]

UNBOUNDED = sys.maxsize


class BatchRules(NamedTuple):
    """When a batch leaves, and how large it may be.

    Attributes:
        trigger: number of waiting messages that makes a batch leave.
        max_messages: maximum number of messages in a batch.
        max_bytes: maximum number of bytes in a batch, each message counted with a comma.
        interval: seconds after which a batch leaves, however small it is.
    """

    trigger: int
    max_messages: int
    max_bytes: int
    interval: float


class Schedule:
    """The schedule of messages. All methods are called under the queue's lock.

    Attributes:
        rules: how large a batch may be, and when it leaves.
        trigger_messages: number of waiting messages that makes a batch due.
        trigger_bytes: number of waiting bytes that makes a batch due.
    """

    def __init__(self, rules: BatchRules, max_size: int, max_bytes: int) -> None:
        """Make the schedule of a queue with these bounds: it must not fill up before it sends."""
        self.rules = rules
        self.trigger_messages: int = min(rules.trigger, max_size // 2 or 1)
        self.trigger_bytes: int = min(rules.max_bytes, max_bytes // 2)

    def due_at(self, waiting: deque[Any], oldest_at: float) -> float:
        """Return when the oldest message is due.

        Args:
            waiting: the messages, oldest first; at least one, unless a signal handler took it.
            oldest_at: when the oldest arrived.
        """
        return oldest_at + self.rules.interval

    def max_leaving(self, waiting: deque[Any], now: float) -> int:
        """Return how many messages may leave in the batch that is due; at least one."""
        return self.rules.max_messages


def lengths(messages: Iterable[Any]) -> Iterable[int]:
    """Return how long each of these is."""
    return map(len, messages)


def count_fitting(
    waiting: Collection[Any],
    max_messages: int,
    max_bytes: int,
    lengths: Callable[[Iterable[Any]], Iterable[int]] = lengths,
) -> int:
    """Return how many of the oldest messages fit in a batch; at least one."""
    size = len(waiting)
    try:
        if size <= max_messages and sum(lengths(waiting)) + size <= max_bytes:
            return max(1, size)  # as usual, and in a third of the time
    except RuntimeError as error:  # a call put another message in: look at a copy
        if is_interruption(error):
            raise
    head = oldest(waiting, max_messages)
    sizes = accumulate(lengths(head))
    return max(1, bisect_right([*map(add, sizes, count(1))], max_bytes))


def oldest(waiting: Iterable[Any], count: int) -> list[Any]:
    """Return a copy of the oldest messages, so many at most, while calls put others in."""
    while True:
        try:
            return [*islice(waiting, count)]
        except RuntimeError as error:  # a call put another message in
            if is_interruption(error):
                raise
