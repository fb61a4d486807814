"""Locks and conditions that survive signals.

The lock of a queue is held, and every wait under it made, through this module; see the rules of
the package. Of the library, it must know nothing but whose exception one is.
"""

from __future__ import annotations

import threading
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from segment_librato.foreign.interruption import is_interruption

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SignalSafeCondition", "Waiter", "synchronized"]


class _Guarded(Protocol):
    @property
    def lock(self) -> threading.RLock: ...


Guarded = TypeVar("Guarded", bound=_Guarded)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def synchronized(
    method: Callable[Concatenate[Guarded, Arguments], Result],
) -> Callable[Concatenate[Guarded, Arguments], Result]:
    """Run a method under the `lock` of its object (rule 2 of the package)."""

    @wraps(method)
    def call(self: Guarded, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with self.lock:
            return method(self, *args, **kwargs)

    return call


class SignalSafeCondition(threading.Condition):
    """A condition whose methods may be interrupted by a signal at any point."""

    def __init__(self, lock: threading.RLock) -> None:
        super().__init__(lock)
        self.lock = lock

    def notify_all(self) -> None:
        """Wake everybody; a signal handler may have done so in the middle of this call."""
        try:
            super().notify_all()
        except IndexError as error:
            if is_interruption(error):
                raise

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, and hold the lock afterwards even if Ctrl-C struck while it was released."""
        try:
            return super().wait(timeout)
        except BaseException:
            if not self.is_locked_by_caller():
                self.lock.acquire()
            raise

    def is_locked_by_caller(self) -> bool:
        """Return whether the calling thread holds the lock."""
        try:
            self.notify(0)
        except RuntimeError as error:
            if is_interruption(error):
                raise
            return False
        return True


class Waiter:
    """A wait of one thread, which any other may end at any time: nobody needs a lock for it.

    What ends it may come before it begins. Like `threading.Condition`, it makes its lock when the
    wait begins, so that gevent may have patched meanwhile.

    Attributes:
        thread_id: of the thread that made it.
    """

    def __init__(self) -> None:
        self.thread_id: int = threading.get_ident()
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until somebody ends it; return False if it is over before."""
        return self._lock.acquire(timeout=-1 if timeout is None else timeout)

    def wake(self) -> bool:
        """End the wait, or the next one; return False if that has been done already."""
        try:
            self._lock.release()
        except RuntimeError as error:
            if is_interruption(error):
                raise
            return False
        return True
