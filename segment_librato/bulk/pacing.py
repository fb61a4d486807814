"""When a request may be made: not faster than the rate, and not in a pause that the server wants.

One `Pacing` is shared by all threads of an import, and ends their waits when the import ends.
Must not know HTTP or rows.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from segment_librato.delivery.retry import MAX_RETRY_AFTER_SECONDS
from segment_librato.errors import SegmentError, ShutdownTimeoutError
from segment_librato.process.clock import ALREADY_OVER

if TYPE_CHECKING:
    from segment_librato.process.clock import Clock
    from segment_librato.queue.batch import Batch
    from segment_librato.transport.base import Receipt, Transport

__all__ = ["PacedTransport", "Pacing"]


class Pacing:
    """When the next messages may go. Thread-safe.

    Attributes:
        is_stopped: whether no request is to be made any more.
    """

    def __init__(self, rate: float | None, clock: Clock) -> None:
        """Begin with nothing sent, and no time to make up for: there may be many in a row.

        Args:
            rate: messages a second, on average; None is no limit.
            clock: the clock of waits.
        """
        self.is_stopped: bool = False
        self._rate = rate
        self._clock = clock
        self._changed = threading.Condition()
        self._last_turn = clock.now()  # of those that were given out, or the start
        self._paused_until = ALREADY_OVER  # by the server

    def wait_for_turn(self, count: int) -> None:
        """Wait as long as the rate takes for so many messages: first come, first served.

        Raises:
            ShutdownTimeoutError: the import ends before that.
        """
        seconds = count / self._rate if self._rate else 0
        turn: float | None = None
        with self._changed:
            while not self.is_stopped:
                now = self._clock.now()
                if now < self._paused_until:
                    turn = None  # or all that wait would go at once when the pause ends
                elif turn is None:
                    turn = self._last_turn = max(self._last_turn + seconds, now)
                if turn is not None and now >= turn:
                    return
                self._clock.wait(self._changed, self._paused_until if turn is None else turn)
        raise ShutdownTimeoutError("the import ended before its turn came")

    def wait_until(self, deadline: float) -> bool:
        """Wait before another try; return False as soon as the import ends."""
        with self._changed:
            while not self.is_stopped:
                if not self._clock.wait(self._changed, deadline):
                    return not self.is_stopped
        return False

    def pause(self, seconds: float) -> None:
        """Let nothing go for some seconds, as the server asks."""
        with self._changed:
            until = self._clock.deadline(min(seconds, MAX_RETRY_AFTER_SECONDS))
            self._paused_until = max(self._paused_until, until)

    def stop(self) -> None:
        """Let nothing go any more, and end all waits."""
        self.is_stopped = True
        with self._changed:
            self._changed.notify_all()


class PacedTransport:
    """Sends with another transport, each batch when its turn has come. Thread-safe."""

    def __init__(self, transport: Transport, pacing: Pacing) -> None:
        self._transport = transport
        self._pacing = pacing

    def send(self, batch: Batch, timeout: float | None) -> Receipt:
        """Send a batch; see `Transport.send`.

        Raises:
            SegmentError: it was not delivered, or the import has ended.
        """
        self._pacing.wait_for_turn(len(batch))
        try:
            return self._transport.send(batch, timeout)
        except SegmentError as error:
            if error.retry_after:
                self._pacing.pause(error.retry_after)
            raise

    def close(self) -> None:
        """Close connections."""
        self._transport.close()

    def reset_after_fork(self) -> None:
        """Leave the connections to the parent."""
        self._transport.reset_after_fork()
