"""A queue of which a part may be on disk only: the overflow, which consumers read back in order.

Owns when the overflow is read and taken, and what becomes of messages in it that are lost. Must not
know what goes there, how files are read, threads or the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segment_librato.process.locks import synchronized
from segment_librato.queue.in_flight import InFlightBatch
from segment_librato.queue.overflow import Overflow
from segment_librato.queue.patient_queue import PatientQueue
from segment_librato.queue.schedule import UNBOUNDED, oldest
from segment_librato.queue.spooled import SpooledMessage, count_of_a_file, lengths_of_spooled
from segment_librato.spooling.lane import MAX_SEGMENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection

    from segment_librato.process.clock import Clock
    from segment_librato.process.locks import Waiter
    from segment_librato.queue.losses import Loss
    from segment_librato.queue.schedule import BatchRules, Schedule
    from segment_librato.queue.unwritten import Unwritten
    from segment_librato.spooling.spool import Spool

__all__ = ["OverflowingQueue"]

POLL_SECONDS = 1.0  # until the overflow is looked at again, if nothing could be read


class OverflowingQueue(PatientQueue):
    """A queue whose youngest messages are on disk only, if need be. Thread-safe.

    Attributes:
        spool: what is on disk.
        unwritten: what is in memory only, if this queue only writes.
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
        self._lane = spool.run.lane()  # of what is in memory, too
        self._overflow = Overflow(spool, is_read=not self._only_writes)
        self.unwritten: Unwritten = self._overflow.unwritten
        # Not `super()`, which may be a `GaugeQueue`, and makes a schedule of its own.
        PatientQueue.__init__(self, max_size, rules, max_bytes, clock, schedule)

    def reset(self) -> None:
        """Forget everything, as a forked child must; it writes to files of its own."""
        super().reset()
        self.spool.reset()
        self._overflow.reset()
        if self._only_writes:
            self._adopt_at = None

    def qsize(self) -> int:
        """Return how many messages wait, in memory or on disk."""
        return max(0, len(self._waiting) + self._overflow.lane.unread)

    # The consumers' side

    def take_oldest(self, batch: InFlightBatch) -> InFlightBatch | None:
        """Take about as much as a segment has; see `MessageQueue.take_oldest`."""
        self._read_ahead(max_messages=UNBOUNDED)
        with self.lock:
            self._ledger.recall_oldest()
            if self.ledger.adopt(batch) or self._fill(batch, UNBOUNDED, MAX_SEGMENT_BYTES):
                return batch
        return None

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
            lane, count, left = overflow.lane, loss.count, overflow.count_left_of(loss)
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
        max_messages, lane = max(max_messages, self._schedule.rules.max_messages), overflow.lane
        self._begin_gathering()
        self.ledger.add(batch)  # from here on, a signal handler's flush takes nothing
        fitting = self._count_fitting(overflow.ahead, max_messages, max_bytes)
        head, rest = overflow.ahead[:fitting], overflow.ahead[fitting:]
        # One statement: Ctrl-C finds each message here or there.
        batch.messages, overflow.ahead, lane.unread = head, rest, lane.unread - fitting
        if not head:  # a signal handler has shut down
            self.ledger.drop(batch)
            return False
        self._wake_at_messages = 2 * max(self.qsize(), self._schedule.trigger_messages)
        self.workers.wake()
        self._note_room()
        return True

    def _note_room(self) -> None:
        """Note that rejections are over, unless it is the disk that has too little room."""
        if self.spool.takes_any:
            super()._note_room()
