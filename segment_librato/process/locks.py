"""Locks and conditions that survive signals.

Every lock of the library is held, and every wait made, through this module; see the rules of the
package. Must not know anything else of the library.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SignalSafeCondition", "synchronized", "wait_for_turn"]

MAX_YIELDS = 100


class _Guarded(Protocol):
    @property
    def lock(self) -> threading.RLock: ...


class _Putting(Protocol):
    is_putting: bool  # whether a thread is putting something in, or about to


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
        with suppress(IndexError):
            super().notify_all()

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
        except RuntimeError:
            return False
        return True


def wait_for_turn(queue: _Putting) -> None:
    """Avoid a lock convoy: yield until the thread that puts is done, before asking for the lock.

    A blocked thread is handed the lock before it can take the GIL, and keeps both from all
    others for up to 5 ms (the switch interval). From then on threads meet at the lock in every
    call, and each call costs a switch. A thread that yields first holds nothing it cannot use:
    8 threads put as many messages a second as one, instead of half as many.

    It gives up after some yields, because a signal handler would wait for what it interrupted.
    """
    for _ in range(MAX_YIELDS):
        time.sleep(0)
        if not queue.is_putting:
            return
