"""Messages that nobody reads back here and that are in memory only: the disk had trouble.

They count as messages of the overflow, on disk or not; so when the disk works again, whoever writes
one changes no sum. Owns which messages these are. Must not know when they are written, or what
becomes of them.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

from segment_librato.foreign.interruption import is_interruption
from segment_librato.queue.schedule import UNBOUNDED
from segment_librato.queue.spooled import SpooledMessage, drop_record
from segment_librato.spooling.segment import NOWHERE, Segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.spooling.lane import Lane
    from segment_librato.spooling.spool import Spool

__all__ = ["Unwritten", "write_never"]

NEVER: Final = Segment(NOWHERE)
"""The segment of a message that must not be written any more."""
NEVER.is_gone = True


class Unwritten:
    """These messages of one queue. Thread-safe, without a lock.

    Attributes:
        messages: those that are in memory only, the oldest first, and how many bytes each is, with
            a comma; also, for a moment or after an interruption, those that have just been written.
        size: how many bytes they all are.
    """

    def __init__(self, spool: Spool, lane: Lane, counted: Lane) -> None:
        """Have none.

        Args:
            spool: where they are written to.
            lane: writes them; its `unread` means nothing, as they are counted already.
            counted: the lane of which they count as messages from the beginning.
        """
        self._spool = spool
        self._lane = lane
        self._counted = counted
        self._to_write: deque[SpooledMessage] = deque()
        # As in `Lane`: no signal handler can raise before the caller has the message.
        self._taken: Iterator[SpooledMessage] = iter(self._to_write.popleft, None)
        self.reset()

    def reset(self) -> None:
        """Forget everything, as a forked child must: what its parent has is not written here."""
        self._to_write.clear()
        self.messages: dict[SpooledMessage, int] = {}
        self.size: int = 0

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.messages)

    def has_room(self, size: int, max_messages: float, max_bytes: float) -> bool:
        """Return whether there may be one more, of this many bytes."""
        if not self.messages:
            self.size = 0  # repairs what signal handlers may have done
        return len(self.messages) < max_messages and self.size + size <= max_bytes

    def add(self, data: bytes) -> None:
        """Add the youngest one, which counts from then on."""
        message, size, counted = SpooledMessage(data, None), len(data) + 1, self._counted
        # Two statements, and no call in between: it is accepted, or not.
        counted.unread, self.size, self.messages[message] = (
            counted.unread + 1,
            self.size + size,
            size,
        )
        self._to_write += (message,)

    def write(self, at_most: int = UNBOUNDED) -> None:
        """Write the oldest ones, up to a number. Does I/O.

        It ends at the first that cannot be written, or for which there is no room; nothing is tried
        while the disk rests.
        """
        spool, entry = self._spool, SpooledMessage(b"", None)
        if len(self.messages) > len(self._to_write):  # interruptions, or other threads, have some
            self._forget_written()
        try:
            for message in islice(self._taken, at_most):
                try:
                    is_to_try = message in self.messages and not spool.is_resting
                    if is_to_try and spool.has_room(len(message) + 1):
                        spool.write(self._lane, message.data, entry)
                finally:
                    # Up to the call, without a branch: a thread that shuts down comes before or
                    # after. If it was before, `entry` keeps the segment.
                    is_new = message.segment is None
                    message.segment, entry.segment = (
                        (message.segment, entry.segment),
                        (entry.segment, None),
                    )[is_new]
                    again = [message][: (message.segment is None) & (message in self.messages)]
                    try:
                        self._to_write.extendleft(again)
                    finally:
                        self._drop(entry)
                if again:
                    break
                self._forget(message)
        except IndexError as error:  # there are no more
            if is_interruption(error):
                raise

    def _drop(self, entry: SpooledMessage) -> None:
        """Delete the file of a message that has its outcome already, unless it has others, too."""
        if entry.segment:
            drop_record(entry)
            self._lane.retire()

    def _forget_written(self) -> None:
        for message in self.messages.copy():
            if message.segment is not None:
                self._forget(message)

    def _forget(self, message: SpooledMessage) -> None:
        size = self.messages.pop(message, 0)
        self.size -= size


def write_never(messages: list[SpooledMessage]) -> list[SpooledMessage]:
    """Return those of these that are not written, and that nobody writes from then on.

    They are to have an outcome. A thread that is writing one finds that, and drops its record.
    """
    for message in messages:
        # One statement, without a branch: a thread that writes it comes before or after.
        message.segment = (NEVER, message.segment)[message.segment is not None]
    return [message for message in messages if message.segment is NEVER]
