"""Time as the waits of the library see it: what it is, and how to wait until it is later.

Every wait for a deadline is made here, so that a test can hand in a clock whose time passes
faster. Waits follow the real time, and messages the wall clock: an application's test may stop
or set that. Must not know what is waited for.
"""

from __future__ import annotations

import math
import threading
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ALREADY_OVER", "Clock", "Waitable", "monotonic"]

ALREADY_OVER = -math.inf
"""A deadline for checking a condition once, without a wait."""


def _own_copy(module: Any) -> Any:  # noqa: ANN401  the same kind of module
    """Return another instance of a module in C, with function objects of its own."""
    loader = module.__spec__.loader
    copy = loader.create_module(module.__spec__)
    loader.exec_module(copy)
    return copy


# A test of the application may stop or set `time.monotonic`. A wait would then last for years, if
# its deadline is by one clock and the time by the other. freezegun replaces that function in every
# module that has it, and before this one is imported or after; so here is one that nobody knows.
monotonic: Callable[[], float] = _own_copy(time).monotonic


class Waitable(Protocol):
    """A condition, with its lock held, or a waiter."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a notification; return False if the seconds are over before."""


class Clock:
    """The monotonic clock of the system. Thread-safe."""

    def now(self) -> float:
        """Return the time in seconds, counted from an arbitrary moment."""
        return monotonic()

    def deadline(self, timeout: float) -> float:
        """Return the time `timeout` seconds from now, however large it is."""
        return self.now() + min(timeout, threading.TIMEOUT_MAX)

    def wait(self, changed: Waitable, deadline: float | None) -> bool:
        """Wait for a notification; return False at the deadline."""
        if deadline is None:
            return changed.wait()
        seconds = deadline - self.now()
        return seconds > 0 and changed.wait(min(seconds, threading.TIMEOUT_MAX))
