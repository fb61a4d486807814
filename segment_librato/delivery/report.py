"""Telling the application which messages will not be delivered, and why.

Owns the call of `on_error` and the log line beside it. Whatever `on_error` does (raise, track,
flush, shut down) does no harm. Knows nothing of threads, queues or the network.
"""

from __future__ import annotations

import json
import threading
import traceback
from typing import TYPE_CHECKING

from segment_librato.log import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segment_librato.config.client import OnError
    from segment_librato.errors import RejectionError, SegmentError

__all__ = ["Failure", "Reporter"]

MAX_DEPTH = 10


class Failure:
    """Messages that will not be delivered, and why.

    Attributes:
        error: why.
        messages: each one's JSON.
        is_told: whether `on_error` was called with them.
    """

    def __init__(self, error: SegmentError, messages: Sequence[bytes]) -> None:
        self.error = error
        self.messages = messages
        self.is_told = False


class Reporter:
    """Calls `on_error` with an error and the messages it befell. Thread-safe."""

    def __init__(self, on_error: OnError | None) -> None:
        self._on_error = on_error or None
        self._calls = threading.local()

    def rejection(self, reason: RejectionError, message: bytes) -> None:
        """Report a message that was not taken in; log it if that is news.

        While `on_error` runs on the same thread, it is not called for this: a message that it
        tracks itself would have it called for ever.
        """
        if not self._depth():
            self._tell(Failure(reason, [message]))
        if reason.is_news:
            log.warning("messages are rejected: %s", reason)

    def room(self, refused: int) -> None:
        """Log that messages are accepted again, after so many were rejected."""
        log.warning("messages are accepted again; rejected before: %d", refused)

    def failure(self, failure: Failure) -> None:
        """Report messages that were taken in and will not be delivered.

        Some may fail because of what `on_error` does: it is called for these as well, but not
        if each such call makes the next one fail.
        """
        if self._depth() < MAX_DEPTH:
            self._tell(failure)
        log.error("messages not delivered: %d; %s", len(failure.messages), failure.error)

    def _depth(self) -> int:
        """Return how many calls of `on_error` are under way on this thread."""
        depth: int = getattr(self._calls, "depth", 0)
        return depth

    def _tell(self, failure: Failure) -> None:
        """Call `on_error` with the messages as the dicts they would have been sent as."""
        self._calls.depth = self._depth() + 1
        try:
            if self._on_error:
                messages = [json.loads(message) for message in failure.messages]
                # fmt: off
                failure.is_told = True; self._on_error(failure.error, messages)  # noqa: E702  or Ctrl-C may strike in between
                # fmt: on
        except Exception as problem:  # noqa: BLE001  it is the application's code
            frame = traceback.extract_tb(problem.__traceback__)[-1]
            place = f"{frame.filename}:{frame.lineno}"
            log.error("on_error raised %s at %s", type(problem).__name__, place)
        finally:
            self._calls.depth -= 1
