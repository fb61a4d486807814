"""A queue whose messages are on disk before a consumer can see them.

A call writes its message itself, without a lock, and then puts it in. Memory holds a window of at
most `max_queue_size` messages. While it is full, and until what came after has been read back,
messages go to disk only: the *overflow*, which consumers read in order, a batch at a time.

Owns which of the two a message goes to, and when the overflow is read. Must not know how files are
written, threads or the network.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Literal

from segment_librato.process.clock import ALREADY_OVER
from segment_librato.process.locks import synchronized
from segment_librato.queue.message_queue import REFUSED, MessageQueue
from segment_librato.queue.schedule import UNBOUNDED, oldest
from segment_librato.queue.spooled import (
    SpooledLedger,
    SpooledMessage,
    count_of_a_file,
    delete_settled,
    is_spooled,
)
from segment_librato.spooling.format import MAX_PAYLOAD_BYTES
from segment_librato.spooling.merged import MergedReader
from segment_librato.spooling.run import MAX_SEGMENT_BYTES
from segment_librato.spooling.segment import WrittenSegment

if TYPE_CHECKING:
    from collections.abc import Collection

    from segment_librato.process.clock import Clock
    from segment_librato.process.locks import Waiter
    from segment_librato.queue.ledger import InFlightBatch, Ledger
    from segment_librato.queue.schedule import BatchRules, Item, Schedule
    from segment_librato.spooling.spool import Spool

__all__ = ["SpooledQueue"]

# Each write lets the consumers run, so under load they would look as soon as the smallest batch is
# there, and a request costs as much as a hundred messages.
MIN_BATCH_SECONDS = 0.005  # between two batches that are not full
MAX_PRECEDENCE = 1.0  # seconds that a backlog waits for messages which are not due yet
MAX_SET_ASIDE = 4  # batches; it bounds what is in memory
FIRST_PAUSE = 60.0  # seconds until a batch that was set aside is due; it doubles each time
MAX_PAUSE = 300.0
POLL_SECONDS = 1.0  # until the overflow is looked at again, if nothing could be read
MAX_FRUITLESS_SECONDS = 5.0  # after that, what is there cannot be read

ALL = float("inf")


class _Waiting:
    """The messages of a queue that wait in memory or on disk: their number."""

    def __init__(self, queue: SpooledQueue) -> None:
        self._queue = queue

    def __len__(self) -> int:
        return self._queue.qsize()


class SpooledQueue(MessageQueue):
    """A queue with a spool. Thread-safe.

    Attributes:
        spool: what is on disk.
    """

    _kind = SpooledLedger

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
        self._overflow_lane = spool.run.lane(self._add_overflow)
        self._reader: MergedReader[WrittenSegment] | None = None
        MessageQueue.__init__(self, max_size, rules, max_bytes, clock, schedule)

    def reset(self) -> None:
        """Forget everything, as a forked child must; it writes to files of its own."""
        super().reset()
        self.spool.reset()
        if reader := self._reader:
            reader.close()
        # Messages of the overflow that are not in flight yet; for a moment too few, if one is read
        # back before its call has counted it.
        self._unread = 0
        self._ahead: list[SpooledMessage] = []  # the oldest of them, if they were read
        self._reader = self._make_reader()
        self._is_reading = False
        self._to_reopen: list[WrittenSegment] = []  # the system did not let them be read
        self._fruitless_since: float | None = None
        self._left = 0  # messages that were left since somebody asked
        self._partly_read: list[WrittenSegment] = []  # and the rest was left
        self._gathers_until = ALREADY_OVER  # before, a batch leaves only if it is full, or urgent
        # When a consumer looks for what dead processes left; None while one does, or never.
        self._adopt_at = None if self._only_writes else ALREADY_OVER

    def _make_ledger(self) -> Ledger:
        self._ledger = self._kind(self._changed, _Waiting(self))
        return self._ledger

    # The application's side: without a lock

    def offer(
        self, message: bytes | Item, *, has_room: bool = False
    ) -> Literal["due", "refused"] | None:
        """Write a message and take it in; see `MessageQueue.offer`.

        If it cannot be written, it is taken in as it would be without a spool.
        """
        data = message if type(message) is bytes else bytes(message)
        size, spool, waiting = len(data) + 1, self.spool, self._waiting
        if not has_room and (
            self._closed or (spool.written + size > spool.allowance and not spool.has_room(size))
        ):
            return REFUSED
        if (
            self._unread
            or len(waiting) >= self._max_size
            or self._waiting_bytes + size > self._max_bytes
            or self._only_writes
        ):
            return self._offer_overflow(data, has_room=has_room)
        segment = spool.write(self._lane, data)
        if segment is None:
            return super().offer(SpooledMessage(data, None), has_room=has_room)
        if not waiting:
            self._oldest_at = self.clock.now()
        self._waiting_bytes += size
        waiting.append(SpooledMessage(data, segment))  # from here on it is accepted
        if len(waiting) >= self._wake_at_messages or self._waiting_bytes >= self._wake_at_bytes:
            return self._wake()
        return None

    def _offer_overflow(self, data: bytes, *, has_room: bool) -> Literal["due", "refused"] | None:
        """Take a message in that goes to disk only; see `offer`."""
        if self.spool.write(self._overflow_lane, data) is None:
            return super().offer(SpooledMessage(data, None), has_room=has_room)
        self._unread += 1  # from here on it is accepted
        return self._wake() if self.qsize() >= self._wake_at_messages else None

    def send_at_once(self) -> None:
        """Let what waits leave at once, and try again what was set aside. Takes no lock."""
        if not self.is_settled():
            self._is_flush_wanted = True
            self.workers.wake()

    def qsize(self) -> int:
        """Return how many messages wait, in memory or on disk."""
        return max(0, len(self._waiting) + self._unread)

    def full(self) -> bool:
        """Return whether the spool is full, so that the next message may be rejected."""
        return not self.spool.has_room(1)

    def _why_full(self) -> str:
        if self.spool.is_in_trouble:
            return super()._why_full()
        stats, bound = self.spool.stats(), self.spool.config.max_bytes
        return f"the spool has {stats.bytes} bytes of at most {bound}"

    def _has_room(self, size: int) -> bool:
        if self.spool.is_in_trouble:
            return super()._has_room(size)
        return self.spool.has_room(size)

    @synchronized
    def begin_flush(self) -> int:
        """Let what waits leave at once, and try again what was set aside; return the mark."""
        self._ledger.recall(ALL)
        return super().begin_flush()

    def abandon(self, left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]]) -> None:
        """Leave what is on disk, and claim every other message that has no outcome."""
        self._overflow_lane.retire(all_of_them=True)  # what comes now is read by another reader
        with self.lock:
            before, reader = self._ledger.counts["left"], self._reader
            self._leave_unread()
            if not self._is_reading and reader:
                self._partly_read += reader.being_read()
                self._ledger.left += self._ahead
                reader.close()
            self._ahead, self._reader, self._to_reopen = [], self._make_reader(), []
            super().abandon(left_over)
            self._left += self._ledger.counts["left"] - before

    def drop_settled(self) -> None:
        """Rewrite files of which some messages were left, and others have their outcome.

        Otherwise these would be delivered, or reported, once more by whoever delivers the rest.
        """
        with self.lock:
            left, self._ledger.left = self._ledger.left, []
            partly_read, self._partly_read = self._partly_read, []
        if not (left or partly_read):
            return
        from segment_librato.spooling.rest import keep_rest  # few need it

        self._lane.retire(all_of_them=True)
        payloads: dict[Any, set[bytes]] = {segment: set() for segment in partly_read}
        for message in left:
            payloads.setdefault(message.segment, set()).add(message.data)
        for segment, of_segment in payloads.items():
            if isinstance(segment, WrittenSegment) and segment.settled:
                keep_rest(segment, of_segment)

    def waits_in_memory(self) -> bool:
        """Return whether anything waits that is not on disk. Takes no lock."""
        return bool(self._waiting) or not self.ledger.is_empty()

    def write_what_waits(self) -> bool:
        """Write what waits in memory because it could not be written; return whether all is.

        For a queue without consumers.
        """
        while batch := self.take_now():
            for data in batch.unclaimed:
                if not self.spool.write(self._lane, data):
                    self._ledger.set_aside(batch, ALL)
                    self._ledger.recall(ALL)
                    return False
                self._ledger.mark_left(batch)
                self._left += 1
        return True

    @synchronized
    def take_left(self) -> tuple[int, str]:
        """Return how many messages were left on disk since the last call, and where."""
        left, self._left = self._left, 0
        return left, str(self.spool.folder)

    # The consumers' side

    def set_aside(self, batch: InFlightBatch, retry_after: float | None) -> bool:
        """Keep what is left of a batch for another try; see `MessageQueue.set_aside`.

        The pauses grow with each try, up to five minutes.
        """
        if not any(map(is_spooled, batch.messages[batch.claimed :])):
            return False
        pause = min(FIRST_PAUSE * 2**batch.turns, MAX_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311  jitter
        self._ledger.set_aside(batch, self.clock.deadline(max(pause, retry_after or 0)))
        return True

    def take_oldest(self, batch: InFlightBatch) -> InFlightBatch | None:
        """Take about as much as a segment has; see `MessageQueue.take_oldest`."""
        self._read_ahead(max_messages=UNBOUNDED)
        with self.lock:
            self._ledger.recall(ALL)
            if self.ledger.adopt(batch) or self._fill(batch, UNBOUNDED, MAX_SEGMENT_BYTES):
                return batch
        return None

    @synchronized
    def adopt_at(self, at: float) -> None:
        """Have a consumer look at this time for what dead processes left."""
        self._adopt_at = at

    @synchronized
    def claim_adoption(self) -> bool:
        """Return whether the caller, and nobody else, sees to what dead processes left.

        It calls `adopt_at` in the end.
        """
        is_free, self._adopt_at = self._adopt_at is not None, None
        return is_free

    def tidy(self, batch: InFlightBatch) -> None:
        """Delete files behind the outcomes of a batch; all of them if nothing waits."""
        delete_settled(batch.messages)
        if self.is_settled():
            self.spool.run.retire()
            if self._reader and self._reader.has_files:
                self._read_ahead(to_the_end=True)
        elif self._unread:  # nobody writes to the other lane meanwhile
            self._lane.retire()

    def count_expired(self, batch: InFlightBatch) -> int:
        """Return how many of the next messages of a batch are beyond `max_age`."""
        count = 0
        for message in batch.messages[batch.claimed :]:
            if not (message.segment and self.spool.is_too_old(message.segment)):
                break
            count += 1
        return count

    def close_files(self) -> None:
        """Let go of the run: what is left in it is up to another process."""
        with self.lock:
            if self._reader and not self._is_reading:
                self._reader.close()
        self.spool.sync()
        self.spool.run.close()

    def _read_ahead(self, *, to_the_end: bool = False, max_messages: int = 0) -> None:
        """Read the oldest messages of the overflow, as many as fit in a batch.

        Args:
            to_the_end: whether to do so though there is none, which closes the files.
            max_messages: how many messages these may be; 0 means as many as a batch may have.
        """
        with self.lock:
            reader = self._reader
            has_some = self._unread or to_the_end
            if not (reader and has_some) or self._is_reading or self._ahead or self._waiting:
                return
            self._is_reading = True
        found: list[SpooledMessage] = []
        try:
            self._read(reader, found, max_messages or self._schedule.rules.max_messages)
        finally:
            if reader is self._reader:
                self._ahead, self._is_reading = found, False
            else:  # all was abandoned meanwhile
                self._is_reading = False
                reader.close()
            if found:
                self.workers.wake()
        self._note_poll(is_fruitless=not found)

    def _read(
        self,
        reader: MergedReader[WrittenSegment],
        found: list[SpooledMessage],
        max_messages: int,
    ) -> None:
        """Append what fits in a batch."""
        max_bytes, size = self._schedule.rules.max_bytes, 0
        to_reopen, self._to_reopen = self._to_reopen, []
        for segment in to_reopen:
            reader.add(segment, segment.first)
        records = reader.read(ALL)
        try:
            for segment, payload in records:
                if segment.to_skip:
                    segment.to_skip -= 1
                    continue
                segment.read += 1
                found.append(SpooledMessage(payload, segment))
                size += len(payload) + 1
                if len(found) >= max_messages or size >= max_bytes:
                    break
        finally:
            records.close()

    @synchronized
    def _note_poll(self, *, is_fruitless: bool) -> None:
        """Leave what seems to be there if it cannot be read for some time."""
        now = self.clock.now()
        if not (is_fruitless and self._unread) or self._ahead or self._to_reopen:
            self._fruitless_since = None
        elif self._fruitless_since is None:
            self._fruitless_since = now
        elif now - self._fruitless_since > MAX_FRUITLESS_SECONDS:
            self._left += self._unread
            self._leave_unread()

    def _leave_unread(self) -> None:
        counts = self._ledger.counts
        # One statement: Ctrl-C and calls find each message here or there.
        counts["left"], self._unread = counts["left"] + self._unread, 0

    def _make_reader(self) -> MergedReader[WrittenSegment]:
        return MergedReader(lambda _: None, self._cannot_be_read)

    def _add_overflow(self, segment: WrittenSegment, first: int) -> None:
        if self._reader and not self._only_writes:
            self._reader.add(segment, first)

    def _cannot_be_read(self, segment: WrittenSegment, error: Exception) -> None:
        """Try once more later, if it is the system that says no."""
        if isinstance(error, FileNotFoundError):
            self.spool.note_loss(error)
            self._overflow_lane.retire(all_of_them=True)  # write no more to what nobody can read
            return
        self.spool.note_damage(error)
        if isinstance(error, OSError):
            segment.to_skip = segment.read
            self._to_reopen.append(segment)

    # Under the lock

    def _take_due(self, batch: InFlightBatch, *, is_due: bool) -> bool:
        if self._is_flush_wanted:
            self._ledger.recall(ALL)
            self._is_urgent()  # which takes note of it
        self._ledger.recall(self.clock.now())
        if self._is_held_back() and not self.ledger.has_orphans():
            return False
        if super()._take_due(batch, is_due=is_due):
            return True
        adopt_at = self._adoption_due_at()
        return adopt_at is not None and adopt_at <= self.clock.now() and self.claim_adoption()

    def _adoption_due_at(self) -> float | None:
        """Return when a consumer that has nothing else to do looks for what dead processes left.

        None if none should: the server is in trouble, or the consumers are to leave.
        """
        if self.workers.must_leave or self._ledger.count_set_aside() or self.ledger.last_error():
            return None
        if self._adopt_at == ALREADY_OVER:
            self._adopt_at = self.clock.now()
        if self._adopt_at is None or not self._waiting:
            return self._adopt_at
        return self._adopt_at + min(self.rules.interval, MAX_PRECEDENCE)

    def _is_due(self) -> bool:
        if self._is_held_back():
            return False
        if self._ahead and not self._waiting:
            return True
        return super()._is_due() and not self._is_gathering()

    def _is_gathering(self) -> bool:
        """Return whether more messages are to join those that wait."""
        return (
            self.clock.now() < self._gathers_until
            and self._waiting_bytes < self._schedule.trigger_bytes
            and not self._is_urgent()
        )

    def _is_held_back(self) -> bool:
        """Return whether so many batches are set aside that nothing more is taken."""
        return self._ledger.count_set_aside() >= MAX_SET_ASIDE

    def _fall_asleep(self, waiter: Waiter) -> float | None:
        due_at = super()._fall_asleep(waiter)
        if self._waiting and self._is_gathering():
            self._wake_at_messages, due_at = UNBOUNDED, self._gathers_until
        poll_at = self.clock.deadline(POLL_SECONDS) if self._unread else None
        retry_at = self._ledger.next_retry()
        if self._is_held_back():
            return retry_at
        times = (due_at, poll_at, retry_at, self._adoption_due_at())
        return min((one for one in times if one is not None), default=None)

    def _count_fitting(self, waiting: Collection[Any], max_messages: int, max_bytes: int) -> int:
        fitting = super()._count_fitting(waiting, max_messages, max_bytes)
        if max_bytes == UNBOUNDED:  # it is not to be sent
            return fitting
        return count_of_a_file(oldest(waiting, fitting), MAX_SEGMENT_BYTES)

    def _fill(self, batch: InFlightBatch, max_messages: int, max_bytes: int) -> bool:
        self._gathers_until = self.clock.deadline(MIN_BATCH_SECONDS)
        if self._waiting or not self._ahead or self._is_reading:
            return super()._fill(batch, max_messages, max_bytes)
        max_messages = max(max_messages, self._schedule.rules.max_messages)
        fitting = self._count_fitting(self._ahead, max_messages, max_bytes)
        head, rest = self._ahead[:fitting], self._ahead[fitting:]
        self.ledger.add(batch)
        # One statement: Ctrl-C finds each message here or there.
        batch.messages, self._ahead, self._unread = head, rest, self._unread - fitting
        self._wake_at_messages = 2 * max(self.qsize(), self._schedule.trigger_messages)
        self.workers.wake()
        self._note_room()
        return True

    def _note_room(self) -> None:
        """Note that rejections are over, unless it is the disk that has too little room."""
        spool = self.spool
        if spool.is_in_trouble or spool.written + MAX_PAYLOAD_BYTES <= spool.allowance:
            super()._note_room()
