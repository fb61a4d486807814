"""A queue whose messages are on disk before a consumer can see them.

A call writes its message itself, without a lock, and then puts it in. Memory holds a window of at
most `max_queue_size` messages. While it is full, and until what came after has been read back,
messages go to disk only: the *overflow*, which consumers read in order, a batch at a time.

Owns which of the two a message goes to, and what is left on disk. Must not know how files are
written or read, when a batch is due, threads or the network.
"""

from __future__ import annotations

import threading
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

from segment_librato.process.locks import synchronized
from segment_librato.queue.ledger import InFlightBatch
from segment_librato.queue.message_queue import REFUSED, MessageQueue
from segment_librato.queue.overflow import Overflow
from segment_librato.queue.patient_queue import ALL, PatientQueue
from segment_librato.queue.schedule import UNBOUNDED, oldest
from segment_librato.queue.spooled import (
    SpooledMessage,
    count_of_a_file,
    delete_settled,
    is_spooled,
    keep_only,
    lengths_of_spooled,
    segments_of,
    settle_record,
)
from segment_librato.queue.unwritten import Unwritten
from segment_librato.spooling.run import MAX_SEGMENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection

    from segment_librato.process.clock import Clock
    from segment_librato.process.locks import Waiter
    from segment_librato.queue.losses import Loss
    from segment_librato.queue.schedule import BatchRules, Item, Schedule
    from segment_librato.spooling.spool import Spool

__all__ = ["SpooledQueue"]

POLL_SECONDS = 1.0  # until the overflow is looked at again, if nothing could be read


class SpooledQueue(PatientQueue):
    """A queue with a spool. Thread-safe.

    Attributes:
        spool: what is on disk.
        unwritten: what is not, if this queue only writes.
    """

    _lengths = staticmethod(lengths_of_spooled)

    def __init__(
        self,
        spool: Spool,
        max_size: int,
        rules: BatchRules,
        max_bytes: int = 0,
        clock: Clock | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        """Make an empty queue.

        Args:
            spool: what is on disk.
            max_size: maximum number of messages in the window; 0 means unlimited.
            rules: when a batch leaves, and how large it may be.
            max_bytes: maximum number of bytes in the window; 0 means unlimited.
            clock: the clock of waits.
            schedule: when a batch is due, if the rules are not enough.
        """
        self.spool = spool
        self._only_writes = not spool.config.deliver
        self._lane = spool.run.lane()
        self._overflow = Overflow(spool, is_read=not self._only_writes)
        PatientQueue.__init__(self, max_size, rules, max_bytes, clock, schedule)

    def reset(self) -> None:
        """Forget everything, as a forked child must; it writes to files of its own."""
        super().reset()
        self.spool.reset()
        self._overflow.reset()
        self.unwritten: Unwritten = Unwritten()
        self._left_before = 0  # messages that were left when somebody asked last
        # Who lets go of the files waits until a thread that rewrites them is done.
        self._rewriting: threading.RLock = threading.RLock()
        if self._only_writes:
            self._adopt_at = None

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
            waiting.append(entry)  # from here on it is accepted
            if len(waiting) >= self._wake_at_messages or self._waiting_bytes >= self._wake_at_bytes:
                return self._wake()
        except BaseException as error:
            settle_record(entry)  # a signal handler raised: if accepted, it is in memory only
            if not isinstance(error, OSError):
                raise
            spool.note_trouble(error)
            return super().offer(entry, has_room=has_room)
        return None

    def _offer_slowly(self, data: bytes, *, has_room: bool) -> Literal["due", "refused"] | None:
        """Take a message in although something is not as usual; see `offer`."""
        size = len(data) + 1
        if not has_room and (self._closed or self._line or not self.spool.has_room(size)):
            return REFUSED
        if self._only_writes or not self._has_window(size):
            return self._offer_overflow(data, has_room=has_room)
        entry = SpooledMessage(data, None)
        try:
            if self.spool.write(self._lane, data, entry) is None:
                return super().offer(entry, has_room=has_room)
            return MessageQueue.offer(self, entry, has_room=True)
        except BaseException:  # the same
            settle_record(entry)
            raise

    def _offer_overflow(self, data: bytes, *, has_room: bool) -> Literal["due", "refused"] | None:
        """Take a message in that goes to disk only; see `offer`."""
        if not self._overflow.write(data):
            message = SpooledMessage(data, None)
            state = super().offer(message, has_room=has_room)
            if self._only_writes and state is not REFUSED:
                self.unwritten.add(message)
            return state
        return self._wake() if self.qsize() >= self._wake_at_messages else None

    def _has_window(self, size: int) -> bool:
        """Return whether a message of this many bytes may wait in memory."""
        return (
            not self._overflow.lane.unread
            and len(self._waiting) < self._max_size
            and self._waiting_bytes + size <= self._max_bytes
        )

    def qsize(self) -> int:
        """Return how many messages wait, in memory or on disk."""
        return max(0, len(self._waiting) + self._overflow.lane.unread)

    def full(self) -> bool:
        """Return whether the spool is full: the next message may be rejected. May do I/O."""
        return not self.spool.has_room(1)

    def _why_full(self) -> str:
        if self.spool.is_in_trouble:
            return super()._why_full()
        bound = self.spool.config.max_bytes
        return f"the spool has {self.spool.size} bytes of at most {bound}"

    def _has_room(self, size: int) -> bool:
        if self.spool.is_in_trouble:
            return super()._has_room(size)
        return self.spool.has_room(size)

    def abandon(self, left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]]) -> None:
        """Leave what is on disk, and claim every other message that has no outcome."""
        self._overflow.seal()  # what comes now is read by another reader
        self._look_for_files()
        ahead = InFlightBatch()
        with self.lock:
            self.unwritten.forget()
            self._ledger.add(ahead)
            try:
                reader = self._overflow.leave(self._ledger.counts, ahead)
            finally:
                if not ahead.messages:
                    self._ledger.drop(ahead)
            super().abandon(left_over)
        if reader:
            self._overflow.find_gone(reader)
        self._tell_losses()
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

    # Of a queue that only writes

    def waits_in_memory(self) -> bool:
        """Return whether anything waits that is not on disk. Takes no lock."""
        return not all(map(is_spooled, self._waiting.copy()))

    def write_unwritten(self, at_most: int) -> None:
        """Write the oldest of what could not be written before; see `Unwritten`. Takes no lock."""
        self.unwritten.write(self.spool, self._lane, at_most)

    def write_what_waits(self) -> bool:
        """Write what could not be written before, and free memory; return whether all is on disk.

        Not under the lock.
        """
        self.write_unwritten(UNBOUNDED)
        with self.lock:
            waiting, batch = self._waiting.copy(), InFlightBatch()
            on_disk = [*takewhile(is_spooled, waiting)]
            if on_disk and self._fill(batch, len(on_disk), UNBOUNDED):
                self._ledger.leave(batch)
        return not self.waits_in_memory()

    @synchronized
    def take_left(self) -> tuple[int, str]:
        """Return how many messages were left on disk since the last call, and where."""
        before, self._left_before = self._left_before, self._ledger.counts["left"]
        return max(0, self._left_before - before), str(self.spool.folder)

    # The consumers' side

    def take_oldest(self, batch: InFlightBatch) -> InFlightBatch | None:
        """Take about as much as a segment has; see `MessageQueue.take_oldest`."""
        self._read_ahead(max_messages=UNBOUNDED)
        with self.lock:
            self._ledger.recall_oldest()
            if self.ledger.adopt(batch) or self._fill(batch, UNBOUNDED, MAX_SEGMENT_BYTES):
                return batch
        return None

    def tidy(self, batch: InFlightBatch) -> None:
        """Delete files behind the outcomes of a batch; all of them if nothing waits."""
        delete_settled(batch.messages)
        if self.is_settled():
            self.spool.run.retire()
            if self._overflow.has_files():
                self._read_ahead(to_the_end=True)
        elif self._overflow.lane.unread:  # nobody writes to the other lane meanwhile
            self._lane.retire()
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

    def _read_ahead(self, *, to_the_end: bool = False, max_messages: int = 0) -> None:
        """Read the oldest messages of the overflow, as many as fit in a batch.

        Args:
            to_the_end: whether to do so though there is none, which closes the files.
            max_messages: how many messages these may be; 0 means as many as a batch may have.
        """
        overflow, rules = self._overflow, self._schedule.rules
        limits = (max_messages or rules.max_messages, rules.max_bytes)
        if not overflow.read_ahead(self.lock, self._waiting, limits, to_the_end=to_the_end):
            return
        if overflow.ahead:
            self.workers.wake()
        with self.lock:
            if lost := overflow.count_lost(self.clock.now()):
                overflow.leave_unread(self._ledger.counts, lost)
                self.workers.wake()  # those that waited for it
        self._tell_losses()

    def _look_for_files(self) -> None:
        """Find out which messages in memory are not on disk any more: somebody deletes files."""
        with self.lock:
            in_memory = [*self._waiting.copy(), *self._overflow.ahead, *self._ledger.in_flight()]
        for segment in segments_of(in_memory):
            segment.look()

    def _tell_losses(self) -> None:
        """Report what was lost on disk. Not under the lock."""
        if not self._overflow.has_losses():
            return
        self._overflow.seal()  # nothing more is written to such files
        while True:
            batch = InFlightBatch()
            try:
                loss = self._claim_loss(batch)
                if loss is None:
                    return
                self.spool.tell_loss(loss.give_up())
            finally:
                self._ledger.mark_failed(batch, len(batch.messages))
            self.workers.wake()  # those that waited for what was lost

    @synchronized
    def _claim_loss(self, batch: InFlightBatch) -> Loss | None:
        """Claim messages that are lost, in an empty batch; return what they are, None if none."""
        overflow, counts = self._overflow, self._ledger.counts
        loss = overflow.claim_loss()
        if loss:
            lane, count, left = overflow.lane, loss.count, overflow.count_left(loss)
            unread, lost = count - left, [SpooledMessage(b"", None)] * count
            self._ledger.add(batch)
            batch.first -= left  # these have counted as taken before
            # One statement: Ctrl-C finds each message here or there.
            batch.messages, batch.claimed, lane.unread, counts["left"] = (
                lost,
                count,
                lane.unread - unread,
                counts["left"] - left,
            )
        return loss

    # Under the lock

    def _is_due(self) -> bool:
        is_read = self._overflow.ahead and not (self._waiting or self._is_held_back())
        return bool(is_read) or super()._is_due()

    def _can_take(self) -> bool:
        is_out_of_reach = self._overflow.lane.unread and not (self._waiting or self._overflow.ahead)
        return not is_out_of_reach and super()._can_take()

    def _fall_asleep(self, waiter: Waiter) -> float | None:
        due_at = super()._fall_asleep(waiter)
        if not self._overflow.lane.unread or self._is_held_back():
            return due_at
        poll_at = self.clock.deadline(POLL_SECONDS)
        return poll_at if due_at is None else min(poll_at, due_at)

    def _count_fitting(self, waiting: Collection[Any], max_messages: int, max_bytes: int) -> int:
        fitting = super()._count_fitting(waiting, max_messages, max_bytes)
        if max_bytes == UNBOUNDED:  # it is not to be sent
            return fitting
        return count_of_a_file(oldest(waiting, fitting), MAX_SEGMENT_BYTES)

    def _fill(self, batch: InFlightBatch, max_messages: int, max_bytes: int) -> bool:
        overflow = self._overflow
        if self._waiting or not overflow.ahead or overflow.is_being_read:
            return super()._fill(batch, max_messages, max_bytes)
        max_messages = max(max_messages, self._schedule.rules.max_messages)
        fitting = self._count_fitting(overflow.ahead, max_messages, max_bytes)
        head, rest = overflow.ahead[:fitting], overflow.ahead[fitting:]
        self._begin_gathering()
        lane = overflow.lane
        self.ledger.add(batch)
        # One statement: Ctrl-C finds each message here or there.
        batch.messages, overflow.ahead, lane.unread = head, rest, lane.unread - fitting
        self._wake_at_messages = 2 * max(self.qsize(), self._schedule.trigger_messages)
        self.workers.wake()
        self._note_room()
        return True

    def _note_room(self) -> None:
        """Note that rejections are over, unless it is the disk that has too little room."""
        if self.spool.takes_any:
            super()._note_room()
