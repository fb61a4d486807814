"""What a wait for messages says in the log while it lasts.

Owns how often it does. Must not know who waits, or how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.log import log

if TYPE_CHECKING:
    from segment_librato.errors import SegmentError
    from segment_librato.queue.message_queue import MessageQueue

__all__ = ["WaitNotices", "why"]

FIRST_NOTICE_SECONDS = 5
NOTICE_SECONDS = 30


def why(error: SegmentError | None, destination: str) -> str:
    """Return why messages have no outcome, if this is the last error, or there was none yet."""
    return str(error) if error else f"no response yet from {destination}"


class WaitNotices:
    """The lines of one wait for what a queue holds, which begins now.

    Attributes:
        next_at: when to log the next line, by the clock of the queue.
    """

    def __init__(self, queue: MessageQueue, destination: str) -> None:
        self._queue = queue
        self._destination = destination
        self._began = queue.clock.now()
        self.next_at: float = self._began + FIRST_NOTICE_SECONDS

    def log_if_due(self) -> None:
        """Log now and then why the wait takes so long."""
        now, ledger = self._queue.clock.now(), self._queue.ledger
        if now < self.next_at:
            return
        self.next_at = now + NOTICE_SECONDS
        pending, reason = ledger.stats().pending, why(ledger.last_error(), self._destination)
        seconds = now - self._began
        log.warning("waiting for %.0f s; messages pending: %d; %s", seconds, pending, reason)
