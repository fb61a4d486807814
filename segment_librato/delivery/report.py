"""Tells the application which messages were delivered, and which will not be, and why.

Owns the calls of `on_error` and `on_delivered`, and the log lines beside them. Whatever these do
(raise, track, flush, shut down) does no harm. Must not know threads, queues or the network.
"""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from segment_librato.errors import without_frames
from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segment_librato.config.client import OnDelivered, OnError
    from segment_librato.errors import ConfigError, RejectionError, SegmentError

__all__ = ["Failure", "Reporter", "raised_at"]

MAX_DEPTH = 10
MIN_SHOWN_WAIT = 0.05  # seconds; what is below would be shown as 0.0


class Failure:
    """Messages that will not be delivered, and why.

    Attributes:
        error: why.
        messages: the JSON of each.
        count: how many failed; more than there are messages if nobody can read them any more.
        was_reported: whether `on_error` was called with them.
    """

    def __init__(self, error: SegmentError, messages: Sequence[bytes], unread: int = 0) -> None:
        self.error: SegmentError = without_frames(error)
        self.messages = messages
        self.count: int = len(messages) + unread
        self.was_reported = False


class Reporter:
    """Calls `on_error` with an error and the messages affected, `on_delivered` with messages.

    Thread-safe.
    """

    def __init__(self, on_error: OnError | None, on_delivered: OnDelivered | None = None) -> None:
        self._on_error = on_error or None
        self._on_delivered = on_delivered or None
        self._calls = threading.local()

    @property
    def has_on_error(self) -> bool:
        """Whether the application has set an `on_error`."""
        return self._on_error is not None

    @property
    def has_on_delivered(self) -> bool:
        """Whether the application has set an `on_delivered`."""
        return self._on_delivered is not None

    def use(self, on_error: OnError | None) -> None:
        """Call this one from now on."""
        self._on_error = on_error or None

    def wrong_setting(self, error: ConfigError) -> None:
        """Report a setting that is wrong; no message is affected, as the earlier one holds.

        Not to an `on_error` that runs on the same thread, which may have assigned it.
        """
        try:
            if not self._depth():
                self._call(Failure(error, []))
        finally:
            log.error("%s; the earlier settings stay in force", error)

    def rejection(self, reason: RejectionError, message: bytes) -> None:
        """Report a rejected message; log it if it is the first of a series.

        While `on_error` runs on the same thread, it is not called for this: if it tracks on every
        call, it would be called forever.
        """
        try:
            if not self._depth():
                self._call(Failure(reason, [message]))
        finally:  # an `on_error` that exits must not keep the line from the log
            if reason.is_first:
                log.warning("messages are rejected: %s", reason)

    def resumed(self, rejected: int) -> None:
        """Log that messages are accepted again, and how many were rejected before."""
        log.warning("messages are accepted again; rejected before: %d", rejected)

    def retry(self, error: SegmentError, wait: float, count: int, *, is_first: bool) -> None:
        """Log that `count` messages will be sent again in `wait` seconds."""
        level = logging.WARNING if is_first else logging.DEBUG
        when = f"in {wait:.1f} s" if wait >= MIN_SHOWN_WAIT else "now"
        log.log(level, "%s; retrying %s, messages: %d", error, when, count)

    def failure(self, failure: Failure) -> None:
        """Report accepted messages that will not be delivered.

        Some may fail because of what `on_error` does: it is called for these as well, but not
        if each such call makes the next one fail.
        """
        try:
            if self._depth() < MAX_DEPTH:
                self._call(failure)
        finally:
            log.error("messages not delivered: %d; %s", failure.count, failure.error)

    def delivery(self, messages: Sequence[bytes]) -> None:
        """Tell of messages that were delivered.

        While `on_delivered` runs on the same thread, it is not called for these: if it tracks on
        every call, it would be called forever in `sync_mode`.
        """
        on_delivered = self._on_delivered
        if not on_delivered or getattr(self._calls, "delivery", False):
            return
        self._calls.delivery = True
        try:
            self._run("on_delivered", lambda: on_delivered([*map(json.loads, messages)]))
        finally:
            self._calls.delivery = False

    def _depth(self) -> int:
        """Return how many calls of `on_error` are under way on this thread."""
        depth: int = getattr(self._calls, "depth", 0)
        return depth

    def _call(self, failure: Failure) -> None:
        """Call `on_error` with the messages as dicts, as they would have been sent."""

        def tell() -> object:
            on_error = self._on_error  # it may be another one at any time
            if not on_error:
                return None
            messages = [json.loads(message) for message in failure.messages]
            failure.was_reported = True  # no call between this and the next statement
            return on_error(failure.error, messages)

        self._calls.depth = self._depth() + 1
        try:
            self._run("on_error", tell)
        finally:
            self._calls.depth -= 1

    def _run(self, name: str, call: Callable[[], object]) -> None:
        """Call what calls the application, and log what goes wrong there."""
        handled = being_handled()
        try:
            if isinstance(call(), Coroutine):
                log.error("%s returned a coroutine, which nothing runs", name)
        except Exception as problem:  # noqa: BLE001  the application's code may raise anything
            let_through(problem, handled)
            log.error("%s raised %s at %s", name, type(problem).__name__, raised_at(problem))


def raised_at(error: BaseException) -> str:
    """Return the file and the line where an error was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"
