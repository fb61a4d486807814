"""A queue whose batches can be set aside, and whose consumers have other work when nothing waits.

A batch that the server refuses for now is due again after a pause, so that others get their turn.
Consumers that have nothing else to do look for what dead processes left.

Owns when a batch leaves, and when a consumer looks for others. Must not know where messages are,
files, threads or the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.process.clock import ALREADY_OVER
from segment_librato.process.locks import synchronized
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.pauses import pause_after
from segment_librato.queue.schedule import UNBOUNDED
from segment_librato.queue.spooled import SpooledLedger, is_spooled

if TYPE_CHECKING:
    from segment_librato.process.locks import Waiter
    from segment_librato.queue.in_flight import InFlightBatch
    from segment_librato.queue.ledger import Ledger

__all__ = ["ALL", "PatientQueue"]

# Each write lets the consumers run, so under load they would look as soon as the smallest batch is
# there, and a request costs as much as a hundred messages.
MIN_BATCH_SECONDS = 0.005  # between two batches that are not full
MAX_PRECEDENCE = 1.0  # seconds that a backlog waits for messages which are not due yet
MAX_SET_ASIDE = 4  # batches; it bounds what is in memory
FIRST_PAUSE = 60.0  # seconds until a batch that was set aside is due; it doubles each time
MAX_PAUSE = 300.0

ALL = float("inf")


class _Waiting:
    """The messages of a queue that wait in memory or on disk: their number."""

    def __init__(self, queue: PatientQueue) -> None:
        self._queue = queue

    def __len__(self) -> int:
        return self._queue.qsize()


class PatientQueue(MessageQueue):
    """A queue of messages that need not be delivered now. Thread-safe."""

    _kind = SpooledLedger

    def reset(self) -> None:
        """Forget everything, as a forked child must."""
        super().reset()
        self._is_retry_wanted = False  # of what was set aside, now
        self._gathers_until = ALREADY_OVER  # before, a batch leaves only if it is full, or urgent
        # When a consumer looks for what dead processes left; None while one does, or never.
        self._adopt_at: float | None = ALREADY_OVER

    def _make_ledger(self) -> Ledger:
        self._ledger = self._kind(self._changed, _Waiting(self))
        return self._ledger

    def send_at_once(self) -> None:
        """Let what waits leave at once, and try again what was set aside. Takes no lock."""
        if not self.is_settled():
            # One statement: a consumer may look at any time.
            self._is_retry_wanted, self._is_flush_wanted = True, True
            self.workers.wake()

    @synchronized
    def begin_flush(self) -> int:
        """Let what waits leave at once, and try again what was set aside; return the mark."""
        self._ledger.recall(ALL)
        return super().begin_flush()

    # The consumers' side

    def set_aside(self, batch: InFlightBatch, retry_after: float | None) -> bool:
        """Keep what is left of a batch for another try; see `MessageQueue.set_aside`.

        The pauses grow with each try, up to five minutes.
        """
        if not any(map(is_spooled, batch.messages[batch.claimed :])):
            return False
        pause = pause_after(batch.turns, FIRST_PAUSE, MAX_PAUSE)
        pause = min(max(pause, retry_after or 0), self.expires_in(batch))
        self._ledger.set_aside(batch, self.clock.deadline(pause))
        return True

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

    # Under the lock

    def _take_due(self, batch: InFlightBatch, *, is_due: bool) -> bool:
        if self._is_retry_wanted:
            self._is_retry_wanted = False
            self._ledger.recall(ALL)
        if self._is_flush_wanted:
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
        return super()._is_due() and not self._is_gathering()

    def _has_work(self) -> bool:
        return super()._has_work() or self._ledger.count_set_aside() > 0

    def _can_take(self) -> bool:
        has_only_later_work = not self.qsize() and self._ledger.count_set_aside() > 0
        return not (has_only_later_work or self._is_held_back())

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
        retry_at = self._ledger.next_retry()
        if self._is_held_back():
            return retry_at
        times = (due_at, retry_at, self._adoption_due_at())
        return min((one for one in times if one is not None), default=None)

    def _fill(self, batch: InFlightBatch, max_messages: int, max_bytes: int) -> bool:
        self._begin_gathering()
        return super()._fill(batch, max_messages, max_bytes)

    def _begin_gathering(self) -> None:
        """Have more messages join the next batch, unless it is urgent."""
        self._gathers_until = self.clock.deadline(MIN_BATCH_SECONDS)
