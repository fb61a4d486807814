"""The queue: bounded, in memory, first in first out, with the account of every message.

One re-entrant lock guards all of it, so that a signal handler, a `__del__` or a logging hook
that tracks while the lock is held does not deadlock. Under the lock things are decided; no I/O
is done and no code of the application is called.

Knows nothing of what a message means, of threads or of the network. It is long because its two
sides, the application's and the consumers', share the lock and every field.
"""

from __future__ import annotations

import sys
import threading
import time
from bisect import bisect_right
from collections import deque
from contextlib import suppress
from itertools import accumulate, count, islice, repeat, starmap
from operator import add
from typing import TYPE_CHECKING, Any

from segment_librato.errors import ClientClosedError, QueueFullError
from segment_librato.process.clock import Clock
from segment_librato.process.locks import Changed, locked
from segment_librato.queue.ledger import Account, Lease

if TYPE_CHECKING:
    from segment_librato.errors import RejectionError
    from segment_librato.queue.batch import BatchRules

__all__ = ["NEVER", "MessageQueue"]

NEVER = sys.maxsize
MOST_LOOKS = 100  # at whether another thread puts


class MessageQueue:
    """A bounded first-in, first-out queue that accounts for its messages. Thread-safe."""

    def __init__(
        self, max_size: int, rules: BatchRules, max_bytes: int = 0, clock: Clock | None = None
    ) -> None:
        """Make an empty queue.

        Args:
            max_size: at most so many messages wait; 0 is no bound. Those under way come on top.
            rules: when a batch leaves, and how large it may be.
            max_bytes: at most so many bytes wait, a comma with each message; 0 is no bound.
            clock: what the waits go by.
        """
        self._max_size = max_size or NEVER
        self._max_bytes = max_bytes or NEVER
        self._rules = rules
        self.clock = clock or Clock()
        # so many messages, or bytes, waiting make a batch leave
        self._trigger_messages = min(rules.trigger, self._max_size // 2 or 1)
        self._trigger_bytes = min(rules.max_bytes, self._max_bytes // 2)
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Forget all, as a forked child must: its parent delivers what waits.

        The lock is a new one, because a thread that does not exist here may hold the old.
        """
        self.lock = threading.RLock()
        self._changed = Changed(self.lock)
        self._waiting: deque[Any] = deque()  # of bytes, but for a subclass that overrides `_fill`
        self._waiting_bytes = 0
        self._is_putting = False  # whether a thread is about to put, or does so
        self._oldest_at = 0.0
        self.account = Account(self.lock, self._changed, self._waiting)
        self._workers: dict[object, threading.Thread | None] = {}
        self.workers = 0  # so many consumers are there
        self._wake_at_messages = NEVER
        self._wake_at_bytes = NEVER
        self._flush_up_to = 0
        self._rejecting = False
        self._refused = 0  # so many messages found no room since there was some
        self._blocked = 0  # so many calls wait for room
        self._draining = self._closed

    # The application's side

    def put(self, message: bytes, deadline: float | None = None) -> RejectionError | None:
        """Take a message in; return the reason if it is rejected.

        Args:
            message: what to take in.
            deadline: until when to wait for room, if there is none; None is not at all.
        """
        if self._is_putting:
            self._wait_for_turn()
        self._is_putting = True  # until the end of `_put`; if that is interrupted, of the next
        # fmt: off
        with self.lock: return self._put(message, deadline)  # noqa: E701  as `locked`, but faster
        # fmt: on

    def _wait_for_turn(self) -> None:
        """Let the thread that puts finish, before the lock is asked for.

        Who waits for a lock gets it before it gets the interpreter, and keeps both from all others
        for up to 5 ms. From then on they meet at the lock at every call, and each call is a switch
        between threads. Who looks again a little later has no lock that it cannot use, so that 8
        threads put as many messages a second as one does, instead of half as many.
        """
        for _ in range(MOST_LOOKS):  # a signal handler would wait for what it interrupted
            time.sleep(0)
            if not self._is_putting:
                return

    def _put(self, message: bytes, deadline: float | None) -> RejectionError | None:
        waiting, size = self._waiting, len(message) + 1
        if (
            self._closed
            or len(waiting) >= self._max_size
            or self._waiting_bytes + size > self._max_bytes
        ):
            self._is_putting = False
            if rejection := self._wait_for_room(size, deadline):
                return rejection
        if not waiting:
            self._oldest_at = self.clock.now()
        waiting.append(message)
        self._waiting_bytes += size  # with no call in it, so that no signal handler comes between
        if len(waiting) >= self._wake_at_messages or self._waiting_bytes >= self._wake_at_bytes:
            self._changed.notify_all()
        self._is_putting = False
        return None

    @locked
    def admit(self, lease: Lease) -> RejectionError | None:
        """Take messages in that are under way already; return the reason if they are rejected."""
        if self._closed:
            return self.refusal()
        self.account.add(lease)
        return None

    @locked
    def refusal(self) -> RejectionError | None:
        """Reject a message if the queue is closed; return the reason."""
        if self._closed:
            return self._reject(ClientClosedError("the client was shut down"))
        return None

    def _reject(self, reason: RejectionError) -> RejectionError:
        self.account.count_rejection()
        reason.is_news = not self._rejecting
        self._rejecting = True
        return reason

    def qsize(self) -> int:
        """Return how many messages wait; those under way do not count."""
        return len(self._waiting)

    def empty(self) -> bool:
        """Return whether no message waits."""
        return not self._waiting

    def is_locked_by_caller(self) -> bool:
        """Return whether the calling thread is within a method, as a signal handler may be."""
        return self._changed.is_locked_by_caller()

    @property
    def closed(self) -> bool:
        """Whether no more messages are taken in."""
        return self._closed

    @locked
    def close(self) -> None:
        """Take no more messages in; consumers send what waits, then leave."""
        self._closed = True
        self.drain()

    @locked
    def drain(self) -> None:
        """Let the consumers send what waits, and leave once there is nothing more."""
        self._draining = True
        self._changed.notify_all()

    @locked
    def flush(self) -> int:
        """Let what waits leave at once; return the mark for `wait_until_settled`."""
        self._flush_up_to = self.account.leased + len(self._waiting)
        self._changed.notify_all()
        return self._flush_up_to

    @locked
    def wait_until_settled(self, mark: int, deadline: float | None) -> bool:
        """Wait until every message accepted before the mark has its outcome.

        Returns False at the deadline, and when nobody is there to send what waits.
        """
        while self.account.first_unsettled() < mark:
            if self.account.leased < mark and not self._workers:
                return False
            if not self._wait_for_change(deadline):
                return False
        return True

    @locked
    def wait_until_deserted(self, deadline: float | None) -> bool:
        """Wait until all consumers have left; return False at the deadline, or if one came back."""
        while self._workers:
            if not self._draining or not self._wait_for_change(deadline):
                return False
        return True

    @locked
    def is_settled(self) -> bool:
        """Return whether every message that was accepted has its outcome."""
        return not self._waiting and self.account.first_unsettled() == self.account.leased

    @locked
    def abandon(self, left_over: list[tuple[Lease, tuple[bytes, ...]]]) -> None:
        """Claim every message that has no outcome; see `Account.abandon`."""
        self._fill(Lease(), NEVER, NEVER)
        self.account.abandon(left_over)

    # The consumers' side

    @locked
    def enlist(self, worker: object, thread: threading.Thread | None = None) -> bool:
        """Count a consumer as there, to be run by this thread; return False if it is already."""
        if worker in self._workers:
            return False
        self._draining = self._closed  # a `drain` that went on is over: there is work again
        self._workers[worker] = thread
        self.workers = len(self._workers)
        return True

    @locked
    def withdraw(self, worker: object, thread: threading.Thread) -> None:
        """Undo `enlist` for a thread that did not start."""
        if self._workers.get(worker) is thread:
            self.leave(worker)

    @locked
    def leave(self, worker: object) -> None:
        """Count a consumer as gone."""
        self._workers.pop(worker, None)
        self.workers = len(self._workers)
        self._changed.notify_all()

    @locked
    def take(self, worker: object) -> Lease | None:
        """Wait until a batch is due and lease it; return None when the consumer has to leave.

        It is counted as gone then, in the same instant: a message put in later finds that a
        consumer must be started. It is not after a `reset`, which knows nothing of it.
        """
        lease, account = Lease(), self.account
        is_due = self._is_due()
        while self.account is account:
            if is_due and self._fill(lease, self._may_leave(), self._rules.max_bytes):
                return lease
            if self._draining:
                self.leave(worker)
                return None
            is_due = self._wait_until_due()
        return None

    @locked
    def take_now(self, lease: Lease | None = None) -> Lease | None:
        """Lease what waits, as much as fits in a batch; return None if nothing does.

        Whoever hands in an empty lease holds what is in it, even if Ctrl-C keeps this method
        from returning.
        """
        lease = lease or Lease()
        is_filled = self._fill(lease, self._rules.max_messages, self._rules.max_bytes)
        return lease if is_filled else None

    @locked
    def pause(self, lease: Lease, deadline: float) -> bool:
        """Wait before a retry; return False as soon as the lease is abandoned."""
        while not lease.is_claimed:
            if not self._wait_for_change(deadline):
                return True
        return False

    # Under the lock

    def _is_due(self) -> bool:
        return bool(self._waiting) and (
            len(self._waiting) >= self._trigger_messages
            or self._waiting_bytes >= self._trigger_bytes
            or self._is_urgent()
            or self.clock.now() >= self._due_at()
        )

    def _is_urgent(self) -> bool:
        """Return whether what waits should leave, however little it is."""
        return self._draining or self._blocked > 0 or self.account.leased < self._flush_up_to

    def _due_at(self) -> float:
        """Return when the oldest message is due."""
        return self._oldest_at + self._rules.interval

    def _may_leave(self) -> int:
        """Return how many messages may leave together, now that a batch is due; at least one."""
        return self._rules.max_messages

    def _wait_until_due(self) -> bool:
        """Wait until there is a reason to look again; return whether a batch is due.

        It is after the interval, by the clock of the lock: tests may have stopped all others.
        """
        if not self._waiting:
            self._wake_at_messages = 1
            self._changed.wait()
            return self._is_due()
        self._wake_at_messages = self._trigger_messages
        self._wake_at_bytes = self._trigger_bytes
        due_at = self._due_at()
        is_over = not self._wait_for_change(due_at)
        return (is_over and self._due_at() <= due_at) or self._is_due()

    def _wait_for_change(self, deadline: float | None) -> bool:
        """Wait for a notice; return False at the deadline."""
        return self.clock.wait(self._changed, deadline)

    def _has_room(self, size: int) -> bool:
        if not self._waiting:
            self._waiting_bytes = 0  # whatever the signal handlers made of it
        return len(self._waiting) < self._max_size and self._waiting_bytes + size <= self._max_bytes

    def _wait_for_room(self, size: int, deadline: float | None) -> RejectionError | None:
        """Wait until so many bytes fit; return the reason if they are rejected.

        What waits leaves at once then, as nothing can join it.
        """
        if not (self._refused or self._closed):
            self.flush()
        self._blocked += deadline is not None
        try:
            while not (self._closed or self._has_room(size)):
                if deadline is None or not self._wait_for_change(deadline):
                    self._refused += 1
                    waiting = f"{len(self._waiting)} messages of {self._waiting_bytes} bytes"
                    return self._reject(QueueFullError(f"{waiting} are waiting"))
        finally:
            self._blocked -= deadline is not None
        return self.refusal()

    def _fill(self, lease: Lease, max_messages: int, max_bytes: int) -> bool:
        """Move the oldest messages, as many as fit, into an empty lease; return whether any did.

        What remains keeps the time of the oldest known arrival, which may be before its own:
        it may leave early, never late.
        """
        if not self._waiting:
            return False
        fitting = self._count_of_fitting(max_messages, max_bytes)
        self.account.add(lease)
        # One call, and in C, so that Ctrl-C finds each message here or there. A signal handler
        # may have taken some since they were counted.
        with suppress(IndexError):
            lease.messages.extend(starmap(self._waiting.popleft, repeat((), fitting)))
        leaving_bytes = sum(map(len, lease.messages)) + len(lease.messages)
        self._waiting_bytes = self._waiting_bytes - leaving_bytes if self._waiting else 0
        self._wake_at_messages = self._wake_at_bytes = NEVER  # until a consumer waits again
        self._changed.notify_all()
        if not lease.messages:
            self.account.drop(lease)
            return False
        lease.refused_before, self._refused = self._refused, 0
        self._rejecting = self._closed and self._rejecting
        return True

    def _count_of_fitting(self, max_messages: int, max_bytes: int) -> int:
        """Return how many of the oldest messages fit; at least one."""
        waiting = self._waiting
        while True:
            with suppress(RuntimeError):  # a signal handler put another message in
                size = len(waiting)
                if size <= max_messages and sum(map(len, waiting)) + size <= max_bytes:
                    return size
                sizes = accumulate(map(len, islice(waiting, max_messages)))
                return max(1, bisect_right([*map(add, sizes, count(1))], max_bytes))
