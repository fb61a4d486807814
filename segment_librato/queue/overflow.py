"""The overflow of a queue: messages that are on disk only, and are read back in order.

Calls write it, without a lock. Consumers read it, one of them at a time: what they decide, they
decide under the queue's lock, and they read without it.

Owns the files of these messages, how many there are and which were read. Must not know when they
are due, or what becomes of them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from segment_librato.queue.losses import Losses
from segment_librato.queue.spooled import SpooledMessage, put_back
from segment_librato.queue.unwritten import Unwritten, write_never
from segment_librato.spooling.format import CorruptSegmentError
from segment_librato.spooling.merged import MergedReader

if TYPE_CHECKING:
    import threading
    from collections.abc import Sized

    from segment_librato.queue.in_flight import InFlightBatch
    from segment_librato.queue.losses import Loss
    from segment_librato.spooling.lane import Lane
    from segment_librato.spooling.segment import WrittenSegment
    from segment_librato.spooling.spool import Spool

__all__ = ["Overflow"]

MAX_WATCHED = 1000  # files of a process that only writes
MAX_FRUITLESS_SECONDS = 5.0  # after that, what is there cannot be read


class Overflow:
    """The overflow of one queue.

    Attributes:
        lane: writes it; its `unread` are the messages that are not in flight yet, also those that
            could not be written; for a moment too few, if one is read back before it counts.
        ahead: the oldest of them, if they were read; for a moment of a shutdown, also those that
            could not be written.
        unwritten: the messages that could not be written, if nobody reads them here.
        is_being_read: whether a consumer reads more.
    """

    def __init__(self, spool: Spool, *, is_read: bool) -> None:
        """Make an empty one.

        Args:
            spool: where its files are.
            is_read: whether this process reads it at all.
        """
        self._spool = spool
        self._is_read = is_read
        self.lane: Lane = spool.run.lane(self._add)
        late_lane: Lane = spool.run.lane(self._add)
        self.unwritten: Unwritten = Unwritten(spool, late_lane, self.lane)
        self._lanes = self.lane, late_lane
        self._reader = self._make_reader()
        self.reset()

    def reset(self) -> None:
        """Forget everything, as a forked child must."""
        self.unwritten.reset()
        self._reader.close()
        self._reader = self._make_reader()
        self._losses = Losses()
        # What nobody reads here, so that it is noticed if somebody deletes it: the latest files.
        self._written: deque[WrittenSegment] = deque(maxlen=MAX_WATCHED)
        self.ahead: list[SpooledMessage] = []
        self.is_being_read: bool = False
        self._fruitless: tuple[float, int] | None = None  # since when, and how many are not found
        self._left_up_to = 0  # what was written to segments with lower numbers was left
        self._partly_read: list[WrittenSegment] = []  # and the rest was left

    # Without the lock

    def write(self, data: bytes) -> bool:
        """Write a message, which counts from then on; return False if it cannot be written."""
        return self._spool.write(self.lane, data) is not None

    def seal(self) -> None:
        """Write no more to the files that have been begun."""
        for lane in self._lanes:
            lane.retire(all_of_them=True)

    def read_ahead(
        self,
        lock: threading.RLock,
        waiting: Sized,
        limits: tuple[int, int],
        *,
        to_the_end: bool = False,
    ) -> bool:
        """Read the oldest messages, as many as fit in a batch, unless something stands in the way.

        Args:
            lock: of the queue.
            waiting: what is older; if there is anything, nothing is read.
            limits: how many messages a batch may have, and how many bytes.
            to_the_end: whether to read though there is no message, which closes the files.

        Returns:
            Whether it has tried to read.
        """
        found: list[SpooledMessage] = []
        reader: MergedReader[WrittenSegment] | None = None
        try:
            with lock:
                has_some = self._is_read and (self.lane.unread or to_the_end)
                if has_some and not (self.is_being_read or self.ahead or waiting):
                    # One statement: Ctrl-C finds both done, or nothing.
                    reader, self.is_being_read = self._reader, True
            if reader:
                self._read(reader, found, *limits)
        finally:
            if reader:
                # One statement, without a branch: if all was abandoned, it was so before, or not.
                is_current, self.ahead, self.is_being_read = (
                    reader is self._reader,
                    (self.ahead, found)[reader is self._reader],
                    False,
                )
                if not is_current:
                    self._leave_found(lock, reader, found)
        if found:
            self._fruitless = None
        elif reader and self.lane.unread > 0:
            self.seal()  # perhaps somebody has shortened what is written
        return reader is not None

    def _read(
        self,
        reader: MergedReader[WrittenSegment],
        found: list[SpooledMessage],
        max_messages: int,
        max_bytes: int,
    ) -> None:
        """Append what fits in a batch."""
        size = 0
        if reader.is_torn:
            for segment in reader.segments():
                segment.to_skip = segment.read
            reader.begin_again()
        records = reader.read()
        try:
            for segment, payload in records:
                if segment.to_skip:
                    segment.to_skip -= 1
                    continue
                message = SpooledMessage(payload, segment)
                segment.read += 1
                found.append(message)
                size += len(payload) + 1
                if len(found) >= max_messages or size >= max_bytes:
                    reader.is_torn = False
                    break
        finally:
            records.close()

    def _leave_found(
        self,
        lock: threading.RLock,
        reader: MergedReader[WrittenSegment],
        found: list[SpooledMessage],
    ) -> None:
        """Leave what was read while a shutdown left all of the overflow."""
        with lock:
            self._partly_read += [*put_back(found), *reader.segments()]
        self.find_gone(reader)

    def has_files(self) -> bool:
        """Return whether files are open, or will be."""
        return self._reader.has_files

    # Under the lock

    def count_lost(self, now: float) -> int:
        """Return how many messages seem to be there, and could not be read for some time.

        To be asked after each `read_ahead`; `now` is the time.
        """
        if not self.lane.unread or self.ahead or self._reader.has_put_off or self._losses:
            self._fruitless = None
        elif self._fruitless is None:
            self._fruitless = now, self.lane.unread
        if self._fruitless is None or now - self._fruitless[0] <= MAX_FRUITLESS_SECONDS:
            return 0
        return min(self.lane.unread, self._fruitless[1])  # what was written since can be read

    def take_unwritten(self) -> None:
        """Have `leave` see to what is in memory only."""
        late = self.unwritten
        nothing: dict[SpooledMessage, int] = {}  # before, as the garbage collector may run then
        # One statement, without a call: Ctrl-C and calls find each message here or there.
        self.ahead, late.messages, late.size = [*self.ahead, *late.messages], nothing, 0

    def leave_unread(self, counts: dict[str, int], count: int) -> None:
        """Count so many messages that are not in flight yet as left."""
        # One statement: Ctrl-C and calls find each message here or there.
        counts["left"], self.lane.unread = counts["left"] + count, self.lane.unread - count

    def leave(
        self, counts: dict[str, int], batch: InFlightBatch
    ) -> MergedReader[WrittenSegment] | None:
        """Count what is on disk only as left; move the rest into an empty batch.

        The rest was read, or, where nobody reads, was not written. Returns the reader, which is to
        be closed without the lock; None if a consumer reads: then it does so.
        """
        ahead, self.ahead = self.ahead, []  # it still counts as unread
        try:
            rest = ahead if self._is_read else write_never(ahead)
            count, reader, begun = len(rest), self._make_reader(), next(self._spool.run.sequence)
            nothing: list[SpooledMessage] = []
        except BaseException:
            self.ahead = [*ahead, *self.ahead]  # a consumer may have read more meanwhile
            raise
        # No call between these, and no object that could start the garbage collector: Ctrl-C,
        # calls, also those of a `__del__`, and who reads find each message here or there.
        counts["left"], self.lane.unread = counts["left"] + self.lane.unread - count, 0
        former, is_being_read, self._reader = self._reader, self.is_being_read, reader
        batch.messages, late, self.ahead = rest, self.ahead, nothing
        self._left_up_to = begun
        self._partly_read += put_back(late)  # by a consumer, meanwhile
        if is_being_read:
            return None
        self._partly_read += former.segments()
        return former

    def take_partly_read(self) -> list[WrittenSegment]:
        """Return the segments of which a part was left, once."""
        partly_read, self._partly_read = self._partly_read, []
        return partly_read

    def give_up_reader(self) -> MergedReader[WrittenSegment] | None:
        """Leave what is there to another reader; return the former one, as `leave` does."""
        reader = self._make_reader()
        # One statement, because of who reads.
        former, is_being_read, self._reader = self._reader, self.is_being_read, reader
        return None if is_being_read else former

    def claim_loss(self) -> Loss | None:
        """Return some of what is lost, once; None if nothing is."""
        return self._losses.claim()

    def count_left_of(self, loss: Loss) -> int:
        """Return how many of these messages were left, and so are not unread any more."""
        return loss.count_in_older(self._left_up_to)

    # Without the lock

    def find_gone(self, reader: MergedReader[WrittenSegment]) -> None:
        """Find out which files of a reader that reads no more are gone, and close them."""
        segments = [*reader.segments(), *self._written]
        self._written.clear()
        reader.close()
        for segment in segments:
            segment.look()
        self._losses.add_gone([segment for segment in segments if segment.is_gone])

    def has_losses(self) -> bool:
        """Return whether something is lost, and was not claimed."""
        return bool(self._losses)

    def _make_reader(self) -> MergedReader[WrittenSegment]:
        return MergedReader(self._has_ended, self._cannot_be_read)

    def _add(self, segment: WrittenSegment, first: int) -> None:
        if self._is_read:
            self._reader.add(segment, first)
        else:
            self._written.append(segment)

    def _cannot_be_read(self, segment: WrittenSegment, error: Exception) -> bool:
        """Give up what is lost; return whether it is the system that says no, for now."""
        segment.look()
        if isinstance(error, OSError) and not segment.is_gone:
            self._spool.note_unreadable(segment.path, error)
            segment.to_skip = segment.read
            return True
        if segment.is_gone:
            self._losses.add_gone([segment])
        else:
            offset = error.offset if isinstance(error, CorruptSegmentError) else 0
            self._losses.add_damaged(segment, offset)
        return False

    def _has_ended(self, segment: WrittenSegment) -> None:
        """Note how many messages a segment had, now that nobody writes it."""
        if segment.read < segment.records:
            self._losses.add_gone([segment])
            return
        # A signal handler may have kept a call from counting its record; it was read all the same.
        more, segment.records = segment.read - segment.records, segment.read
        self.lane.unread += more
