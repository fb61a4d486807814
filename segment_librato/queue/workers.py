"""The consumers that serve a queue: which are present, and when they must leave.

Consumers are registered by the calls that start them, and a call takes no lock. So each change of
who is present is one operation on a dict; the waits share the lock of the queue. Must not know
messages, or what a consumer does.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from segment_librato.process.locks import synchronized

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from segment_librato.process.clock import Clock, Waitable
    from segment_librato.process.locks import SignalSafeCondition, Waiter

__all__ = ["Watch", "Workers", "has_died"]

MAX_UNWATCHED = 1.0  # seconds between two looks whether consumers are alive, during a wait for them


def has_died(thread: threading.Thread | None) -> bool:
    """Return whether a thread was started and has ended."""
    return thread is not None and thread.ident is not None and not thread.is_alive()


class Watch:
    """A condition or a waiter, for those who wait for consumers: a killed one notifies nobody."""

    def __init__(self, changed: Waitable) -> None:
        self._changed = changed

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is time to look again; return False if the seconds are over."""
        if timeout is not None and timeout <= MAX_UNWATCHED:
            return self._changed.wait(timeout)
        self._changed.wait(MAX_UNWATCHED)
        return True


class Workers:
    """The consumers of a queue. Thread-safe.

    Attributes:
        are_draining: whether they must leave once nothing waits.
        are_closed: whether they must do so for good.
    """

    def __init__(self, changed: SignalSafeCondition, clock: Clock, *, closed: bool) -> None:
        """Start with none.

        Args:
            changed: on the queue's lock; notified when one has left.
            clock: the clock of waits.
            closed: whether they must leave once nothing waits.
        """
        self.lock: threading.RLock = changed.lock
        self._changed = changed
        self._watch = Watch(changed)
        self._clock = clock
        self._sleepers: deque[Waiter] = deque()
        self._threads: dict[object, tuple[threading.Thread | None]] = {}
        self.are_draining: bool = False
        self.are_closed: bool = closed

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._threads)

    @property
    def must_leave(self) -> bool:
        """Whether they must leave once nothing waits."""
        return self.are_draining or self.are_closed

    def register(self, worker: object, thread: threading.Thread | None = None) -> bool:
        """Count a consumer as present, run by this thread; return False if it already is.

        An earlier drain is over then: there is work.
        """
        entry = (thread,)
        if self._threads.setdefault(worker, entry) is not entry:
            return False
        self.are_draining = False
        return True

    def is_run_by(self, worker: object, thread: threading.Thread) -> bool:
        """Return whether a consumer is present, and run by this thread."""
        return self._threads.get(worker) == (thread,)

    def remove(self, worker: object) -> threading.Thread | None:
        """Count a consumer as gone; return the thread that ran it."""
        (thread,) = self._threads.pop(worker, (None,))
        return thread

    def remove_dead(self) -> None:
        """Count those as gone whose thread was killed. Not to be called under the lock.

        To ask gevent whether a thread lives lets other greenlets run.
        """
        for worker, (thread,) in self._threads.copy().items():
            if has_died(thread):
                self.remove(worker)

    def wait_until_none(
        self, deadline: float | None, count_spared: Callable[[], int] = lambda: 0
    ) -> bool:
        """Wait until all have left; return False at the deadline, or if one came back.

        Args:
            deadline: until when to wait.
            count_spared: returns how many may stay.
        """
        while True:
            self.remove_dead()
            with self.lock:
                if self.count <= count_spared():
                    return True
                if not self.must_leave or not self.wait_for_change(deadline):
                    return False

    def wait_for_change(self, deadline: float | None) -> bool:
        """Wait until something may have changed; return False at the deadline."""
        return self._clock.wait(self._watch, deadline)

    @synchronized
    def drain(self) -> None:
        """Let the consumers send what waits, and leave once nothing does."""
        self.are_draining = True
        self.wake()

    def close(self) -> None:
        """Let them do so for good. Takes no lock."""
        self.are_closed = True
        self.wake()

    def fall_asleep(self, waiter: Waiter) -> None:
        """Have `wake` end this wait of a consumer that has nothing to do."""
        self._sleepers.append(waiter)

    def get_up(self, waiter: Waiter) -> None:
        """Forget a wait that is over, if it has begun."""
        if waiter in self._sleepers:  # no call between this and the next line
            self._sleepers.remove(waiter)

    def wake(self) -> bool:
        """Have those that wait look whether there is something to do; return whether any will.

        Those that have been woken before do not count: they may have been killed. Takes no lock.
        """
        woken = [waiter.wake() for waiter in self._sleepers.copy()]
        return any(woken)
