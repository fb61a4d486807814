"""The one way in which this library holds locks and waits, in code the main thread may run.

There Ctrl-C and signal handlers may strike between any two lines, also of the standard library.
Knows nothing else of the library.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Changed", "locked"]


class _Guarded(Protocol):
    @property
    def lock(self) -> threading.RLock: ...


Guarded = TypeVar("Guarded", bound=_Guarded)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def locked(
    method: Callable[Concatenate[Guarded, Arguments], Result],
) -> Callable[Concatenate[Guarded, Arguments], Result]:
    """Run a method under the `lock` of its object.

    The lock is taken and let go on one line, and not by `Condition.__enter__`, which is Python
    code: Ctrl-C between two lines would leave it held for ever.
    """

    @wraps(method)
    def call(self: Guarded, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        # fmt: off
        with self.lock: return method(self, *args, **kwargs)  # noqa: E701  see above
        # fmt: on

    return call


class Changed(threading.Condition):
    """A condition that survives signals in the middle of its methods."""

    def __init__(self, lock: threading.RLock) -> None:
        super().__init__(lock)
        self.lock = lock

    def notify_all(self) -> None:
        """Wake everybody; a call that a signal handler makes meanwhile has done so already."""
        with suppress(IndexError):
            super().notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, and hold the lock afterwards even if Ctrl-C struck while it was let go."""
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
