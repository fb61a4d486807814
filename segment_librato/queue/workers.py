"""The consumers that serve a queue: which are present, and when they must leave.

Shares the lock of its queue. Must not know messages, or what a consumer does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.process.locks import synchronized

if TYPE_CHECKING:
    import threading

    from segment_librato.process.clock import Clock
    from segment_librato.process.locks import SignalSafeCondition

__all__ = ["Workers"]


class Workers:
    """The consumers of a queue. Thread-safe.

    Attributes:
        count: how many there are; may be read without the lock.
        are_draining: whether they must leave once nothing waits; under the lock.
    """

    def __init__(self, changed: SignalSafeCondition, clock: Clock) -> None:
        """Start with none.

        Args:
            changed: on the queue's lock; notified when one must leave, or has left.
            clock: the clock of waits.
        """
        self.lock: threading.RLock = changed.lock
        self._changed = changed
        self._clock = clock
        self._threads: dict[object, threading.Thread | None] = {}
        self.count: int = 0
        self.are_draining: bool = False

    @synchronized
    def register(self, worker: object, thread: threading.Thread | None = None) -> bool:
        """Count a consumer as present, run by this thread; return False if it already is."""
        if worker in self._threads:
            return False
        self._threads[worker] = thread
        self.count = len(self._threads)
        return True

    @synchronized
    def unregister(self, worker: object, thread: threading.Thread | None = None) -> None:
        """Count a consumer as gone; with a thread, only if that is the one that runs it."""
        if thread is None or self._threads.get(worker) is thread:
            self._threads.pop(worker, None)
            self.count = len(self._threads)
            self._changed.notify_all()

    @synchronized
    def drain(self) -> None:
        """Let the consumers send what waits, and leave once nothing does."""
        self.are_draining = True
        self._changed.notify_all()

    @synchronized
    def wait_until_none(self, deadline: float | None) -> bool:
        """Wait until all have left; return False at the deadline, or if one came back."""
        while self.count:
            if not self.are_draining or not self._clock.wait(self._changed, deadline):
                return False
        return True
