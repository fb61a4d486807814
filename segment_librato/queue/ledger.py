"""The account: where each accepted message is, and what became of it.

A consumer takes messages from the queue as a *lease*. Its holder confirms them as delivered, or
claims them to report them as failed, in order. What is left when a shutdown runs out of time is
claimed by whoever shuts down. So each message has exactly one outcome, and until then it is in
one place, waiting or leased: the numbers of accepted and pending messages are derived from
these places, not counted beside them.

Shares the lock of its queue. Knows nothing of what a message means, of threads or of the
network.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from segment_librato.counters import Stats
from segment_librato.process.locks import locked

if TYPE_CHECKING:
    from collections.abc import Collection

    from segment_librato.delivery.report import Failure
    from segment_librato.errors import SegmentError
    from segment_librato.process.locks import Changed

__all__ = ["Account", "Lease"]


class Lease:
    """Messages that are under way, held by the thread that made it."""

    __slots__ = (
        "abandoned",
        "claimed",
        "failure",
        "first",
        "last_error",
        "messages",
        "refused_before",
        "settled",
        "thread_id",
    )

    def __init__(self, *messages: bytes) -> None:
        self.messages = list(messages)
        self.refused_before = 0  # so many messages found no room, before there was some again
        self.first = 0  # how many messages were leased before these
        self.claimed = 0  # so many of them, from the front, have an outcome
        self.settled = 0  # so many of them are counted as delivered or failed
        self.abandoned = False  # the holder may not claim any more
        self.last_error: SegmentError | None = None  # what kept them from being delivered so far
        self.failure: Failure | None = None  # the last that was to be reported
        self.thread_id = threading.get_ident()

    @property
    def unclaimed(self) -> tuple[bytes, ...]:
        """The messages that have no outcome yet."""
        return tuple(map(bytes, self.messages[self.claimed :]))

    @property
    def is_claimed(self) -> bool:
        """Whether all messages have an outcome."""
        return self.claimed == len(self.messages)


class Account:
    """The leases and the counters of a queue. Thread-safe."""

    def __init__(self, lock: threading.RLock, changed: Changed, waiting: Collection[bytes]) -> None:
        """Open an account with nothing in it.

        Args:
            lock: the queue's.
            changed: on that lock; notified when messages are settled or abandoned.
            waiting: the messages that were accepted and are not leased yet.
        """
        self.lock = lock
        self._changed = changed
        self._waiting = waiting
        self._leases: set[Lease] = set()  # a copy is read, as a signal handler may change it
        self._counts = dict.fromkeys(
            ("delivered", "failed", "rejected", "retries", "requests", "bytes_sent"), 0
        )

    @locked
    def stats(self) -> Stats:
        """Return a snapshot of the counters."""
        pending = len(self._waiting) + self._under_way()
        accepted = self._settled() + pending
        return Stats(accepted=accepted, pending=pending, librato=None, **self._counts)

    @property
    def leased(self) -> int:
        """How many messages ever were under way; under the lock."""
        return self._settled() + self._under_way()

    @locked
    def add(self, lease: Lease) -> None:
        """Have the messages of a lease, which wait no longer, under way."""
        lease.first = self.leased
        self._leases.add(lease)

    @locked
    def drop(self, lease: Lease) -> None:
        """Take back a lease in which no message came to be."""
        self._leases.discard(lease)

    @locked
    def confirm(self, lease: Lease, count: int) -> None:
        """Count the next messages of a lease as delivered."""
        if not lease.abandoned:
            self._settle(lease, "delivered", count, claimed=count)

    @locked
    def claim(self, lease: Lease, count: int) -> bool:
        """Claim the next messages of a lease, to report them and then call `fail`.

        Returns False if they were abandoned.
        """
        if lease.abandoned:
            return False
        lease.claimed += count
        return True

    @locked
    def fail(self, lease: Lease, count: int) -> None:
        """Count claimed messages of a lease as failed."""
        self._settle(lease, "failed", count)

    @locked
    def fail_rest(self, lease: Lease) -> None:
        """Count as failed what the holder of a lease was kept from counting."""
        if not lease.abandoned:
            self._settle(lease, "failed", len(lease.messages) - lease.settled)

    @locked
    def abandon(self, left_over: list[tuple[Lease, tuple[bytes, ...]]]) -> None:
        """Claim every leased message that has no outcome, oldest first.

        The caller, who holds the leases from now on, reports what is in `left_over` afterwards
        and then calls `fail`. A request under way is not stopped, but its outcome no longer
        counts.
        """
        for lease in sorted(self._leases, key=lambda lease: lease.first):
            if not lease.is_claimed:
                lease.abandoned = True
                lease.thread_id = threading.get_ident()
                left_over.append((lease, lease.unclaimed))
                lease.claimed = len(lease.messages)
        self._changed.notify_all()

    def disown(self) -> None:
        """Have the holders of leases do no more, in a forked child and so without the lock."""
        for lease in self._leases:
            lease.abandoned = True
            lease.claimed = len(lease.messages)

    @locked
    def first_unsettled(self) -> int:
        """Return how many messages were leased before the oldest that has no outcome."""
        return min((lease.first for lease in self._leases.copy()), default=self.leased)

    @locked
    def is_held_by_caller(self) -> bool:
        """Return whether the calling thread holds a lease, and so must not wait for it."""
        caller = threading.get_ident()
        return any(lease.thread_id == caller for lease in self._leases.copy())

    @locked
    def count_rejection(self) -> None:
        """Count a message that was not taken in."""
        self._counts["rejected"] += 1

    @locked
    def count_request(self, bytes_sent: int, *, retry: bool) -> None:
        """Count a request."""
        self._counts["requests"] += 1
        self._counts["retries"] += retry
        self._counts["bytes_sent"] += bytes_sent

    def _settled(self) -> int:
        return self._counts["delivered"] + self._counts["failed"]

    def _under_way(self) -> int:
        return sum(len(lease.messages) - lease.settled for lease in self._leases.copy())

    def _settle(self, lease: Lease, outcome: str, count: int, claimed: int = 0) -> None:
        # all by one statement, so that Ctrl-C leaves all or none done
        lease.claimed, lease.settled, self._counts[outcome] = (
            lease.claimed + claimed,
            lease.settled + count,
            self._counts[outcome] + count,
        )
        if lease.settled == len(lease.messages):
            self._leases.discard(lease)
        self._changed.notify_all()
