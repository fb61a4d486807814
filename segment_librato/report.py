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

    from segment_librato.config import OnError
    from segment_librato.errors import SegmentError

__all__ = ["Reporter"]


class Reporter:
    """Calls `on_error` with an error and the messages it befell. Thread-safe."""

    def __init__(self, on_error: OnError | None) -> None:
        self._on_error = on_error or None
        self._reporting = threading.local()

    def rejection(self, reason: SegmentError, message: bytes, *, is_news: bool) -> None:
        """Report a message that was not taken in; log it if it is news."""
        if is_news:
            log.warning("messages are rejected: %s", reason)
        self._tell(reason, [message])

    def failure(self, error: SegmentError, messages: Sequence[bytes]) -> None:
        """Report messages that were taken in and will not be delivered."""
        log.error("messages not delivered: %d; %s", len(messages), error)
        self._tell(error, messages)

    def _tell(self, error: SegmentError, messages: Sequence[bytes]) -> None:
        """Call `on_error` with the messages as the dicts they would have been sent as.

        A message that is rejected while `on_error` runs on the same thread, which must have
        come from there, is not handed to it again: that might never end.
        """
        if getattr(self._reporting, "active", False):
            return
        self._reporting.active = True
        try:
            if self._on_error:
                self._on_error(error, [json.loads(message) for message in messages])
        except Exception as problem:  # noqa: BLE001  it is the application's code
            frame = traceback.extract_tb(problem.__traceback__)[-1]
            place = f"{frame.filename}:{frame.lineno}"
            log.error("on_error raised %s at %s", type(problem).__name__, place)
        finally:
            self._reporting.active = False
