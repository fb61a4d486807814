"""The keeper: the thread that has the disk hold what calls have written, and makes room.

It sleeps without an end while nothing is written, and ends with the consumers. Owns the thread.
Must not know files, or what is in them.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from segment_librato.log import log
from segment_librato.process.frameworks import ends_greenlet
from segment_librato.process.locks import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.process.clock import Clock

__all__ = ["Keeper"]


class Keeper:
    """Calls a function some time after it was woken, and another one at once. Thread-safe."""

    def __init__(
        self,
        work: Callable[[], object],
        urgent_work: Callable[[], object],
        seconds: float,
        clock: Clock,
    ) -> None:
        """Make a keeper without a thread.

        Args:
            work: what to call some time after `wake`.
            urgent_work: what to call after `hurry`.
            seconds: after which time.
            clock: the clock of waits.
        """
        self._work = work
        self._urgent_work = urgent_work
        self._seconds = seconds
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forget the thread, as a forked child must."""
        self._woken = Waiter()
        self._hurried = Waiter()
        self._must_stop = False
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs.

        Raises:
            RuntimeError: no thread can be started, as late in the interpreter's exit.
        """
        if self.is_running():
            return
        if sys.is_finalizing():  # it would never run, and `start` would wait forever
            raise RuntimeError("the interpreter exits")
        woken, hurried = arguments = (Waiter(), Waiter())
        # If two threads do so at once, the one that is first ends: its waiters are not these.
        self._woken, self._hurried, self._must_stop = woken, hurried, False
        thread = threading.Thread(
            target=self._run, args=arguments, name="segment-keeper", daemon=True
        )
        woken.wake()  # there may be something to do already
        self.thread = thread
        thread.start()

    def is_running(self) -> bool:
        """Return whether the thread runs, and was not told to end. Takes no lock."""
        thread = self.thread
        return thread is not None and thread.is_alive() and not self._must_stop

    def wake(self) -> None:
        """Have the work done some time from now. Takes no lock."""
        self._woken.wake()

    def hurry(self) -> None:
        """Have the urgent work done now. Takes no lock."""
        self._hurried.wake()
        self._woken.wake()

    def stop(self) -> None:
        """End the thread. Takes no lock, and does not wait."""
        self._must_stop = True
        self.hurry()

    def join(self, timeout: float | None) -> None:
        """Wait until the thread has ended; it has been told to."""
        thread = self.thread
        if thread and thread.is_alive() and thread is not threading.current_thread():
            thread.join(timeout)

    def runs_caller(self) -> bool:
        """Return whether the calling thread is its own."""
        thread = self.thread
        return thread is not None and thread.is_alive() and thread.ident == threading.get_ident()

    def _run(self, woken: Waiter, hurried: Waiter) -> None:
        try:
            while self._woken is woken and not self._must_stop:
                self._clock.wait(woken, None)
                if self._must_stop:
                    break
                work_at = self._clock.deadline(self._seconds)
                while self._clock.wait(hurried, work_at) and not self._must_stop:
                    _do(self._urgent_work)
                _do(self._work)
        except BaseException as interruption:
            if not ends_greenlet(interruption):
                raise
            log.debug("keeper stopped by %s", type(interruption).__name__)


def _do(work: Callable[[], object]) -> None:
    """Do some work; go on if `on_error`, which it may call, tries to end the process."""
    try:
        work()
    except BaseException as interruption:
        if ends_greenlet(interruption):
            raise
        log.warning("the keeper continues after %s", type(interruption).__name__)
