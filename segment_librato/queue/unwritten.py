"""Messages that wait in memory only, because the disk had trouble, until it works again.

Whoever takes one writes it; meanwhile it still waits in the queue, and counts there. Owns which
messages these are. Must not know when they are written, or what becomes of them.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from segment_librato.foreign.interruption import is_interruption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.queue.spooled import SpooledMessage
    from segment_librato.spooling.lane import Lane
    from segment_librato.spooling.spool import Spool

__all__ = ["Unwritten"]


class Unwritten:
    """These messages of one queue. Thread-safe, without a lock."""

    def __init__(self) -> None:
        self._messages: deque[SpooledMessage] = deque()
        # As in `Lane`: no signal handler can raise before the caller has the message.
        self._taken: Iterator[SpooledMessage] = iter(self._messages.popleft, None)

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._messages)

    def add(self, message: SpooledMessage) -> None:
        """Add the youngest one."""
        self._messages.append(message)

    def forget(self) -> None:
        """Write none of them: they have an outcome."""
        self._messages.clear()

    def write(self, spool: Spool, lane: Lane, at_most: int) -> None:
        """Write the oldest of them, up to a number; each knows its segment then. Does I/O.

        It ends at the first that cannot be written; nothing is tried while the disk rests.
        """
        message: SpooledMessage | None = None
        try:
            for message in islice(self._taken, 0 if spool.is_resting else at_most):
                if spool.write(lane, message.data, message) is None:
                    break
        except IndexError as error:  # there are no more
            if is_interruption(error):
                raise
        finally:
            if message and message.segment is None:
                self._messages.appendleft(message)
