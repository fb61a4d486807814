"""Server-sent events: a line that says what is newest, whenever something has changed.

Owns the pace: at most five lines a second, however much arrives. Must not know what changes.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Stream"]

PAUSE = 0.2  # seconds between two lines
COMMENT_AFTER = 15.0  # seconds of silence: a proxy or a browser would take the connection for dead
LOOK_AFTER = 1.0  # seconds: a client that falls silent tells nobody


class Stream:
    """Tells every follower of the newest state. Thread-safe."""

    def __init__(self, state: Callable[[], dict[str, int]]) -> None:
        """Make a stream.

        Args:
            state: returns what a line says; called often, so it must cost next to nothing.
        """
        self._state = state
        self._changed = threading.Condition()
        self._changes = 0
        self._closed = threading.Event()

    def touch(self) -> None:
        """Say that something has changed, or may have."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def close(self) -> None:
        """End all followers; may be repeated."""
        self._closed.set()
        self.touch()

    def follow(self) -> Generator[bytes, None, None]:
        """Yield a line at once, then one for each change, and comments in between."""
        yield b"retry: 1000\n\n"
        told: dict[str, int] = {}
        told_at = time.monotonic()
        while not self._closed.is_set():
            seen = self._changes
            state = self._state()
            now = time.monotonic()
            if state != told:
                told, told_at = state, now
                yield b"data: %b\n\n" % json.dumps(state).encode()
                self._closed.wait(PAUSE)
            elif now - told_at >= COMMENT_AFTER:
                told_at = now
                yield b": nothing new\n\n"
            with self._changed:
                if self._changes == seen:
                    self._changed.wait(LOOK_AFTER)
