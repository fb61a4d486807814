"""The queue: bounded, in memory, first in first out, with a ledger of every message.

One re-entrant lock guards all of it, so that a signal handler, a `__del__` or a logging hook
that tracks while the lock is held does not deadlock. Under the lock, the queue only decides: it
does no I/O, and calls no code of the application.

Must not know what a message means, threads or the network. It is long because its two sides, the
application's and the consumers', share the lock and most fields.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from itertools import repeat, starmap
from typing import TYPE_CHECKING, Any

from segment_librato.errors import ClientClosedError, QueueFullError
from segment_librato.process.clock import Clock
from segment_librato.process.locks import SignalSafeCondition, synchronized, wait_for_turn
from segment_librato.queue.ledger import InFlightBatch, Ledger
from segment_librato.queue.schedule import UNBOUNDED, Schedule, count_fitting
from segment_librato.queue.workers import Workers

if TYPE_CHECKING:
    from segment_librato.errors import RejectionError
    from segment_librato.queue.schedule import BatchRules, Item

__all__ = ["MessageQueue"]


class MessageQueue:
    """A bounded first-in, first-out queue that accounts for its messages. Thread-safe.

    Attributes:
        clock: the clock of waits.
        ledger: where each message is.
        workers: the consumers.
        is_putting: whether a thread is putting something in, or about to.
    """

    def __init__(
        self,
        max_size: int,
        rules: BatchRules,
        max_bytes: int = 0,
        clock: Clock | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        """Make an empty queue.

        Args:
            max_size: maximum number of waiting messages, without those in flight; 0 means
                unlimited.
            rules: when a batch leaves, and how large it may be.
            max_bytes: maximum number of waiting bytes, each message counted with a comma; 0
                means unlimited.
            clock: the clock of waits.
            schedule: when a batch is due, if the rules are not enough.
        """
        self._max_size = max_size or UNBOUNDED
        self._max_bytes = max_bytes or UNBOUNDED
        self._schedule = schedule or Schedule(rules, self._max_size, self._max_bytes)
        self.clock: Clock = clock or Clock()
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Forget everything, as a forked child must: its parent delivers what waits.

        The lock is a new one, because a thread that does not exist here may hold the old one.
        """
        self.lock: threading.RLock = threading.RLock()
        self._changed = SignalSafeCondition(self.lock)
        self._waiting: deque[Any] = deque()  # of bytes and of `Item`
        self._waiting_bytes = 0
        self.is_putting: bool = False
        self._oldest_at = 0.0
        self.ledger: Ledger = Ledger(self._changed, self._waiting)
        self.workers: Workers = Workers(self._changed, self.clock)
        self.workers.are_draining = self._closed
        # A waiting consumer is woken when this many messages, or bytes, wait.
        self._wake_at_messages = self._wake_at_bytes = UNBOUNDED
        self._flush_up_to = 0
        self._last_rejection: type[RejectionError] | None = None  # since there was room
        self._rejected = 0  # messages rejected since there was room
        self._resumed = 0  # messages rejected before there was room again, not logged yet
        self._blocked = 0  # calls that wait for room

    # The application's side

    def put(self, message: bytes | Item, deadline: float | None = None) -> RejectionError | None:
        """Take a message in; return the reason if it is rejected.

        Args:
            message: what to take in.
            deadline: until when to wait for room if there is none; None means not at all.
        """
        if self.is_putting:
            wait_for_turn(self)
        self.is_putting = True  # until the end of `_put`; if that is interrupted, of the next
        with self.lock:
            return self._put(message, deadline)

    def _put(self, message: bytes | Item, deadline: float | None) -> RejectionError | None:
        waiting, size = self._waiting, len(message) + 1
        if (
            self._closed
            or len(waiting) >= self._max_size
            or self._waiting_bytes + size > self._max_bytes
        ):
            self.is_putting = False
            if rejection := self._wait_for_room(size, deadline):
                return rejection
        if not waiting:
            self._oldest_at = self.clock.now()
        waiting.append(message)
        self._waiting_bytes += size  # no call in it, so that no signal handler comes between
        if len(waiting) >= self._wake_at_messages or self._waiting_bytes >= self._wake_at_bytes:
            self._changed.notify_all()
        self.is_putting = False
        return None

    @synchronized
    def admit(self, batch: InFlightBatch) -> RejectionError | None:
        """Take messages in that are in flight already; return the reason if they are rejected."""
        if self._closed:
            return self.reject_if_closed()
        self.ledger.add(batch)
        return None

    @synchronized
    def reject_if_closed(self) -> RejectionError | None:
        """Reject a message if the queue is closed; return the reason."""
        if self._closed:
            return self._reject(ClientClosedError("the client was shut down"))
        return None

    def qsize(self) -> int:
        """Return how many messages wait; those in flight do not count."""
        return len(self._waiting)

    def empty(self) -> bool:
        """Return whether no message waits."""
        return not self._waiting

    def full(self) -> bool:
        """Return whether `maxsize` messages wait, so that the next one may be rejected."""
        return len(self._waiting) >= self._max_size

    @property
    def maxsize(self) -> int:
        """How many messages may wait; 0 means any number."""
        return 0 if self._max_size == UNBOUNDED else int(self._max_size)

    def is_locked_by_caller(self) -> bool:
        """Return whether the calling thread is within a method, as a signal handler may be."""
        return self._changed.is_locked_by_caller()

    @property
    def closed(self) -> bool:
        """Whether messages are rejected from now on."""
        return self._closed

    @synchronized
    def close(self) -> None:
        """Reject messages from now on; consumers send what waits, then leave."""
        self._closed = True
        self.workers.drain()

    @synchronized
    def begin_flush(self) -> int:
        """Let what waits leave at once; return the mark for `wait_until_settled`."""
        self._flush_up_to = self.ledger.taken + len(self._waiting)
        self._changed.notify_all()
        return self._flush_up_to

    @synchronized
    def wait_until_settled(self, mark: int, deadline: float | None) -> bool:
        """Wait until every message accepted before the mark has its outcome.

        Returns False at the deadline, or if there is no consumer to send what waits.
        """
        while self.ledger.first_unsettled() < mark:
            if self.ledger.taken < mark and not self.workers.count:
                return False
            if not self._wait_for_change(deadline):
                return False
        return True

    @synchronized
    def is_settled(self) -> bool:
        """Return whether every message that was accepted has its outcome."""
        return not self._waiting and self.ledger.first_unsettled() == self.ledger.taken

    @synchronized
    def abandon(self, left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]]) -> None:
        """Claim every message that has no outcome; see `Ledger.abandon`."""
        self._fill(InFlightBatch(), UNBOUNDED, UNBOUNDED)
        self.ledger.abandon(left_over)

    # The consumers' side

    @synchronized
    def register_worker(self, worker: object, thread: threading.Thread | None = None) -> bool:
        """Count a consumer as present; see `Workers.register`."""
        is_new = self.workers.register(worker, thread)
        if is_new:
            self.workers.are_draining = self._closed  # an earlier drain is over: there is work
        return is_new

    @synchronized
    def take(self, worker: object, batch: InFlightBatch | None = None) -> InFlightBatch | None:
        """Wait until a batch is due and take it; return None when the consumer must leave.

        A caller that hands in an empty batch holds what is in it whatever interrupts this method.

        It is counted as gone in the same instant, so that a message put in later finds that a
        consumer must be started; except after a `reset`, which has forgotten it.
        """
        batch, ledger = batch or InFlightBatch(), self.ledger
        is_due = self._is_due()
        while self.ledger is ledger:
            if is_due and self._fill(batch, self._max_leaving(), self._schedule.rules.max_bytes):
                return batch
            if self.workers.are_draining:
                self.workers.unregister(worker)
                return None
            is_due = self._wait_until_due()
        return None

    @synchronized
    def take_now(self, batch: InFlightBatch | None = None) -> InFlightBatch | None:
        """Take what waits, as much as fits in a batch; return None if nothing does.

        A caller that hands in an empty batch holds what is in it even if Ctrl-C keeps this
        method from returning.
        """
        batch = batch or InFlightBatch()
        rules = self._schedule.rules
        return batch if self._fill(batch, rules.max_messages, rules.max_bytes) else None

    @synchronized
    def pause(self, batch: InFlightBatch, deadline: float) -> bool:
        """Wait before a retry; return False as soon as the batch is abandoned."""
        while not batch.is_claimed:
            if not self._wait_for_change(deadline):
                return True
        return False

    @synchronized
    def take_resumed(self) -> int:
        """Return how many messages were rejected before there was room again, once."""
        resumed, self._resumed = self._resumed, 0
        return resumed

    # Under the lock

    def _is_due(self) -> bool:
        return bool(self._waiting) and (
            len(self._waiting) >= self._schedule.trigger_messages
            or self._waiting_bytes >= self._schedule.trigger_bytes
            or self._is_urgent()
            or self.clock.now() >= self._due_at()
        )

    def _is_urgent(self) -> bool:
        """Return whether what waits should leave, however little it is."""
        is_flushed = self.ledger.taken < self._flush_up_to
        return self.workers.are_draining or self._blocked > 0 or is_flushed

    def _due_at(self) -> float:
        return self._schedule.due_at(self._waiting, self._oldest_at)

    def _max_leaving(self) -> int:
        if self._is_urgent():
            return self._schedule.rules.max_messages
        return self._schedule.max_leaving(self._waiting, self.clock.now())

    def _wait_until_due(self) -> bool:
        """Wait until there is a reason to look again; return whether a batch is due.

        One is due after a wait to the end of the interval, even if a test has stopped the clock.
        """
        if not self._waiting:
            self._wake_at_messages = 1
            self._changed.wait()
            return self._is_due()
        self._wake_at_messages = self._schedule.trigger_messages
        self._wake_at_bytes = self._schedule.trigger_bytes
        due_at = self._due_at()
        is_over = not self._wait_for_change(due_at)
        return (is_over and self._due_at() <= due_at) or self._is_due()

    def _wait_for_change(self, deadline: float | None) -> bool:
        """Wait for a notification; return False at the deadline."""
        return self.clock.wait(self._changed, deadline)

    def _has_room(self, size: int) -> bool:
        if not self._waiting:
            self._waiting_bytes = 0  # repairs what signal handlers may have done
        return len(self._waiting) < self._max_size and self._waiting_bytes + size <= self._max_bytes

    def _wait_for_room(self, size: int, deadline: float | None) -> RejectionError | None:
        """Wait until `size` bytes fit; return the reason if they are rejected.

        What waits leaves at once, because nothing more can join it.
        """
        if not (self._rejected or self._closed):
            self.begin_flush()
        self._blocked += deadline is not None
        try:
            while not (self._closed or self._has_room(size)):
                if deadline is None or not self._wait_for_change(deadline):
                    self._rejected += 1
                    waiting = f"{len(self._waiting)} messages of {self._waiting_bytes} bytes"
                    return self._reject(QueueFullError(f"{waiting} are waiting"))
        finally:
            self._blocked -= deadline is not None
        return self.reject_if_closed()

    def _reject(self, reason: RejectionError) -> RejectionError:
        self.ledger.count_rejection()
        reason.is_first = type(reason) is not self._last_rejection
        self._last_rejection = type(reason)
        return reason

    def _fill(self, batch: InFlightBatch, max_messages: int, max_bytes: int) -> bool:
        """Move the oldest messages, as many as fit, into an empty batch; return whether any did.

        The rest keeps the time of the oldest known arrival, which may be before its own: it
        may leave early, never late.
        """
        if not self._waiting:
            return False
        fitting = count_fitting(self._waiting, max_messages, max_bytes)
        self.ledger.add(batch)
        # One call, and in C, so that Ctrl-C finds each message here or there. A signal handler
        # may have taken some since they were counted.
        with suppress(IndexError):
            batch.messages.extend(starmap(self._waiting.popleft, repeat((), fitting)))
        leaving_bytes = sum(map(len, batch.messages)) + len(batch.messages)
        self._waiting_bytes = self._waiting_bytes - leaving_bytes if self._waiting else 0
        batch.messages[:] = map(bytes, batch.messages)
        self._wake_at_messages = self._wake_at_bytes = UNBOUNDED  # until a consumer waits again
        self._changed.notify_all()
        if not batch.messages:
            self.ledger.drop(batch)
            return False
        if not self._closed:
            self._resumed, self._rejected = self._resumed + self._rejected, 0
            self._last_rejection = None
        return True
