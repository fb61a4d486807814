"""A queue whose messages are on disk before a consumer can see them.

A call writes its message itself, without a lock, and then puts it in. Memory holds a window of at
most `max_queue_size` messages. While it is full, and until what came after has been read back,
messages go to disk only: the *overflow*, which consumers read in order, a batch at a time.

Owns which of the two a message goes to, and what is left on disk. Must not know how files are
written or read, when a batch is due, threads or the network.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal

from segment_librato.process.locks import synchronized
from segment_librato.queue.in_flight import InFlightBatch
from segment_librato.queue.message_queue import REFUSED
from segment_librato.queue.overflowing_queue import OverflowingQueue
from segment_librato.queue.patient_queue import ALL
from segment_librato.queue.spooled import (
    SpooledMessage,
    delete_settled,
    drop_record,
    keep_only,
    segments_of,
)

if TYPE_CHECKING:
    from segment_librato.queue.schedule import Item

__all__ = ["SpooledQueue"]


class SpooledQueue(OverflowingQueue):
    """A queue with a spool. Thread-safe."""

    def reset(self) -> None:
        """Forget everything, as a forked child must; it writes to files of its own."""
        super().reset()
        self._told_left = 0  # messages of which `take_left` has told
        # Who lets go of the files waits until a thread that rewrites them is done.
        self._rewriting: threading.RLock = threading.RLock()

    # The application's side: without a lock

    def offer(
        self, message: bytes | Item, *, has_room: bool = False
    ) -> Literal["due", "refused"] | None:
        """Write a message and take it in; see `MessageQueue.offer`.

        If it cannot be written, it is taken in as it would be without a spool.
        """
        data = message if type(message) is bytes else bytes(message)
        size, spool, waiting = len(data) + 1, self.spool, self._waiting
        if (
            spool.run.written + size > spool.limit
            or self._overflow.lane.unread
            or len(waiting) >= self._max_size
            or self._waiting_bytes + size > self._max_bytes
            or self._only_writes
            or self._closed
            or self._line
        ):
            return self._offer_slowly(data, has_room=has_room)
        entry = SpooledMessage(data, None)
        try:
            self._lane.append(data, entry)
            if not waiting:
                self._oldest_at = self.clock.now()
            self._waiting_bytes += size
            waiting += (entry,)  # it is accepted, and no call, after which a signal handler may run
        except BaseException as error:
            drop_record(entry)
            if not isinstance(error, OSError):
                raise
            spool.note_trouble(error)
            return super().offer(entry, has_room=has_room)
        if len(waiting) >= self._wake_at_messages or self._waiting_bytes >= self._wake_at_bytes:
            return self._wake()
        return None

    def _offer_slowly(self, data: bytes, *, has_room: bool) -> Literal["due", "refused"] | None:
        """Take a message in although something is not as usual; see `offer`."""
        size = len(data) + 1
        if not has_room and (self._closed or self._line or not self.spool.has_room(size)):
            return REFUSED
        if self._only_writes or not self._has_window(size):
            return self._offer_overflow(data, has_room=has_room)
        entry, waiting = SpooledMessage(data, None), self._waiting
        try:
            if self.spool.write(self._lane, data, entry) is None:
                return super().offer(entry, has_room=has_room)
            if not waiting:
                self._oldest_at = self.clock.now()
            self._waiting_bytes += size
            waiting += (entry,)  # the same
        except BaseException:
            drop_record(entry)
            raise
        return self._wake() if self._is_to_wake() else None

    def _offer_overflow(self, data: bytes, *, has_room: bool) -> Literal["due", "refused"] | None:
        """Take a message in that goes to disk only; see `offer`."""
        if self._overflow.write(data):
            return self._wake() if self.qsize() >= self._wake_at_messages else None
        if not self._only_writes:
            return super().offer(SpooledMessage(data, None), has_room=has_room)
        if not (has_room or self._has_room(len(data) + 1)):
            return REFUSED
        self.unwritten.add(data)
        return None

    def _is_to_wake(self) -> bool:
        """Return whether so much waits that a consumer is to look."""
        return (
            len(self._waiting) >= self._wake_at_messages
            or self._waiting_bytes >= self._wake_at_bytes
        )

    def _has_window(self, size: int) -> bool:
        """Return whether a message of this many bytes may wait in memory."""
        return (
            not self._overflow.lane.unread
            and len(self._waiting) < self._max_size
            and self._waiting_bytes + size <= self._max_bytes
        )

    def full(self) -> bool:
        """Return whether the spool is full: the next message may be rejected. May do I/O."""
        return not self.spool.has_room(1)

    def _why_full(self) -> str:
        if self.spool.is_in_trouble:
            late = self.unwritten
            if self._only_writes:
                return self._say_how_full(len(late.messages), late.size)
            return super()._why_full()
        bound = self.spool.config.max_bytes
        return f"the spool has {self.spool.size} bytes of at most {bound}"

    def _has_room(self, size: int) -> bool:
        if not self.spool.is_in_trouble:
            return self.spool.has_room(size)
        if self._only_writes:
            return self.unwritten.has_room(size, self._max_size, self._max_bytes)
        return super()._has_room(size)

    def abandon(self, left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]]) -> None:
        """Leave what is on disk, and claim every other message that has no outcome."""
        self._overflow.seal()  # what comes now is read by another reader
        self._look_for_files()
        ahead = InFlightBatch()
        with self.lock:
            self._ledger.add(ahead)
            try:
                self._overflow.take_unwritten()
                reader = self._overflow.leave(self._ledger.counts, ahead)
            finally:
                if not ahead.messages:
                    self._ledger.drop(ahead)
            super().abandon(left_over)
        if reader:
            self._overflow.find_gone(reader)
        self._tell_losses()
        self.unwritten.write()  # which frees the memory of what was claimed
        self.workers.wake()  # those that have to leave

    def drop_settled(self) -> None:
        """Rewrite files of which some messages were left, and others have their outcome.

        Otherwise these would be delivered, or reported, once more by whoever delivers the rest.
        """
        with self._rewriting:
            with self.lock:
                left, self._ledger.left = self._ledger.left, []
                partly_read = self._overflow.take_partly_read()
            if left or partly_read:
                self._lane.retire(all_of_them=True)
                keep_only(self._compact(left), partly_read)

    def _compact(self, left: list[SpooledMessage]) -> list[SpooledMessage]:
        """Write anew what was left and takes less room then; return the other messages."""
        return left

    @synchronized
    def take_left(self) -> tuple[int, str]:
        """Return how many messages were left on disk since the last call, and where."""
        before, self._told_left = self._told_left, self._ledger.counts["left"]
        return max(0, self._told_left - before), str(self.spool.folder)

    # Of a queue that only writes

    def waits_in_memory(self) -> bool:
        """Return whether anything waits that is not on disk. Takes no lock."""
        return bool(self.unwritten or self._overflow.ahead)

    def write_what_waits(self) -> bool:
        """Write what could not be written before; return whether all is on disk. Takes no lock."""
        self.unwritten.write()
        return not self.waits_in_memory()

    # The consumers' side

    def tidy(self, batch: InFlightBatch) -> None:
        """Delete files behind the outcomes of a batch; all of them if nothing waits."""
        delete_settled(batch.messages)
        if self.is_settled():
            self.spool.run.retire()
            if self._overflow.has_files():
                self._read_ahead(to_the_end=True)
        else:  # a lane to which nobody writes meanwhile
            (self._lane if self._overflow.lane.unread else self._overflow.lane).retire()
        self._call_first_in_line()  # there may be room now

    def count_expired(self, batch: InFlightBatch) -> int:
        """Return how many of the next messages of a batch are beyond `max_age`."""
        count = 0
        for message in batch.messages[batch.claimed :]:
            if not (message.segment and self.spool.is_too_old(message.segment)):
                break
            count += 1
        return count

    def expires_in(self, batch: InFlightBatch) -> float:
        """Return the seconds until all that is left of a batch is beyond `max_age`."""
        segments = {message.segment for message in batch.messages[batch.claimed :]}
        ages = [self.spool.expires_in(segment) if segment else ALL for segment in segments]
        return max(ages, default=ALL)

    def close_files(self) -> None:
        """Let go of the run: what is left in it is up to another process."""
        with self.lock:
            reader = self._overflow.give_up_reader()
        if reader:
            reader.close()
        self.spool.sync()
        self.spool.run.close()

    def _look_for_files(self) -> None:
        """Find out which messages in memory are not on disk any more: somebody deletes files."""
        with self.lock:
            in_memory = [*self._waiting.copy(), *self._overflow.ahead, *self._ledger.in_flight()]
        for segment in segments_of(in_memory):
            segment.look()
