"""The queue: bounded, in memory, first in first out, with the account of every message.

One re-entrant lock guards all of it, so that a signal handler, a `__del__` or a logging hook
that tracks while the lock is held does not deadlock. Under the lock things are decided; no I/O
is done and no code of the application is called.

Knows nothing of what a message means, of threads or of the network.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from segment_librato.account import Account, Lease
from segment_librato.errors import ClientClosedError, QueueFullError
from segment_librato.locked import Changed, locked

if TYPE_CHECKING:
    from segment_librato.batch import BatchRules
    from segment_librato.errors import RejectionError

__all__ = ["NEVER", "MessageQueue"]

NEVER = sys.maxsize


class MessageQueue:
    """A bounded first-in, first-out queue that accounts for its messages. Thread-safe."""

    def __init__(self, max_size: int, rules: BatchRules) -> None:
        """Make an empty queue.

        Args:
            max_size: at most so many messages wait; 0 is no bound. Those under way come on top.
            rules: when a batch leaves, and how large it may be.
        """
        self._max_size = max_size or NEVER
        self._rules = rules
        # so many messages, or bytes, waiting make a batch leave
        self._trigger_messages = rules.trigger
        self._trigger_bytes = rules.max_bytes
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Forget all, as a forked child must: its parent delivers what waits.

        The lock is a new one, because a thread that does not exist here may hold the old.
        """
        self.lock = threading.RLock()
        self._changed = Changed(self.lock)
        self._waiting: deque[Any] = deque()  # of bytes, but for a subclass that overrides `_pop`
        self._waiting_bytes = 0
        self._oldest_at = 0.0
        self.account = Account(self.lock, self._changed, self._waiting)
        self._workers: dict[object, threading.Thread | None] = {}
        self._wake_at_messages = NEVER
        self._wake_at_bytes = NEVER
        self._flush_up_to = 0
        self._rejecting = False
        self._draining = self._closed

    # The application's side

    @locked
    def put(self, message: bytes) -> RejectionError | None:
        """Take a message in; return the reason if it is rejected."""
        if self._closed:
            return self.refusal()
        if len(self._waiting) >= self._max_size:
            return self._reject(QueueFullError(f"{self._max_size} messages are waiting"))
        if not self._waiting:
            self._oldest_at = time.monotonic()
        self._waiting.append(message)
        self._waiting_bytes += len(message) + 1
        if (
            len(self._waiting) >= self._wake_at_messages
            or self._waiting_bytes >= self._wake_at_bytes
        ):
            self._changed.notify_all()
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

        Returns False at the deadline (of the monotonic clock), and when nobody is there to send
        what waits.
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
    def abandon(self, left_over: list[tuple[Lease, tuple[bytes, ...]]]) -> None:
        """Claim every message that has no outcome; see `Account.abandon`."""
        self._lease(NEVER, NEVER)
        self.account.abandon(left_over)

    # The consumers' side

    @property
    def workers(self) -> int:
        """How many consumers are there."""
        return len(self._workers)

    @locked
    def enlist(self, worker: object, thread: threading.Thread | None = None) -> bool:
        """Count a consumer as there, to be run by this thread; return False if it is already."""
        if worker in self._workers:
            return False
        self._draining = self._closed  # a `drain` that went on is over: there is work again
        self._workers[worker] = thread
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
        self._changed.notify_all()

    @locked
    def take(self, worker: object) -> Lease | None:
        """Wait until a batch is due and lease it; return None when the consumer has to leave.

        It is counted as gone then, in the same instant: a message put in later finds that a
        consumer must be started. It is not after a `reset`, which knows nothing of it.
        """
        account = self.account
        is_due = self._is_due()
        while self.account is account:
            if is_due and (lease := self._lease(self._may_leave(), self._rules.max_bytes)):
                return lease
            if self._draining:
                self.leave(worker)
                return None
            is_due = self._wait_until_due()
        return None

    @locked
    def take_now(self) -> Lease | None:
        """Lease what waits, as much as fits in a batch; return None if nothing does."""
        return self._lease(self._rules.max_messages, self._rules.max_bytes)

    @locked
    def pause(self, lease: Lease, deadline: float) -> bool:
        """Wait before a retry; return False as soon as the lease is abandoned."""
        while lease.unclaimed:
            if not self._wait_for_change(deadline):
                return True
        return False

    # Under the lock

    def _is_due(self) -> bool:
        return bool(self._waiting) and (
            len(self._waiting) >= self._trigger_messages
            or self._waiting_bytes >= self._trigger_bytes
            or self.account.leased < self._flush_up_to
            or self._draining
            or time.monotonic() >= self._due_at()
        )

    def _due_at(self) -> float:
        """Return when the oldest message is due, by the monotonic clock."""
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
        is_over = not self._changed.wait(max(0, due_at - time.monotonic()))
        return (is_over and self._due_at() <= due_at) or self._is_due()

    def _wait_for_change(self, deadline: float | None) -> bool:
        """Wait for a notice; return False at the deadline."""
        if deadline is None:
            return self._changed.wait()
        seconds = deadline - time.monotonic()
        return seconds > 0 and self._changed.wait(min(seconds, threading.TIMEOUT_MAX))

    def _lease(self, max_messages: int, max_bytes: int) -> Lease | None:
        """Lease the oldest messages, as many as fit; return None if nothing waits."""
        if not self._waiting:
            return None
        lease = Lease(self._pop(max_messages, max_bytes))
        if not lease.messages:
            return None
        self.account.add(lease)
        return lease

    def _pop(self, max_messages: int, max_bytes: int) -> tuple[bytes, ...]:
        """Remove the oldest messages, as many as fit.

        What remains keeps the time of the oldest known arrival, which may be before its own:
        it may leave early, never late. One by one, because a `__del__` may put one in meanwhile,
        and a signal handler may take what is left.
        """
        messages: list[bytes] = []
        room = max_bytes
        with suppress(IndexError):
            while len(messages) < max_messages:
                size = len(self._waiting[0]) + 1
                if size > room and messages:
                    break
                messages.append(self._waiting.popleft())
                room -= size
        self._waiting_bytes = self._waiting_bytes - (max_bytes - room) if self._waiting else 0
        self._wake_at_messages = self._wake_at_bytes = NEVER  # until a consumer waits again
        self._rejecting = False
        return tuple(messages)
