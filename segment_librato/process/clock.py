"""Time as the waits of the library see it: what it is, and how to wait until it is later.

Every wait for a deadline is made here, so that a test can hand in a clock whose time passes
faster. Must not know what is waited for.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Protocol

__all__ = ["ALREADY_OVER", "Clock", "Waitable"]

ALREADY_OVER = -math.inf
"""A deadline for checking a condition once, without a wait."""


class Waitable(Protocol):
    """A condition, with its lock held, or a waiter."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a notification; return False if the seconds are over before."""


class Clock:
    """The monotonic clock of the system. Thread-safe."""

    def now(self) -> float:
        """Return the time in seconds, counted from an arbitrary moment."""
        return time.monotonic()

    def deadline(self, timeout: float) -> float:
        """Return the time `timeout` seconds from now, however large it is."""
        return self.now() + min(timeout, threading.TIMEOUT_MAX)

    def wait(self, changed: Waitable, deadline: float | None) -> bool:
        """Wait for a notification; return False at the deadline."""
        if deadline is None:
            return changed.wait()
        seconds = deadline - self.now()
        return seconds > 0 and changed.wait(min(seconds, threading.TIMEOUT_MAX))
