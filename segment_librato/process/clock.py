"""Time as the waits of the library see it: what it is, and how to wait until it is later.

Whoever waits, waits here, so that a test can hand in a clock whose time passes faster. Knows
nothing of what is waited for.
"""

from __future__ import annotations

import threading
import time

__all__ = ["Clock"]


class Clock:
    """The monotonic clock of the system. Thread-safe."""

    def now(self) -> float:
        """Return the time in seconds, counted from an arbitrary moment."""
        return time.monotonic()

    def deadline(self, timeout: float) -> float:
        """Return the time after so many seconds, however many they are."""
        return self.now() + min(timeout, threading.TIMEOUT_MAX)

    def wait(self, changed: threading.Condition, deadline: float | None) -> bool:
        """Wait for a notice with the lock held; return False at the deadline."""
        if deadline is None:
            return changed.wait()
        seconds = deadline - self.now()
        return seconds > 0 and changed.wait(min(seconds, threading.TIMEOUT_MAX))
