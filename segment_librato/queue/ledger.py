"""The ledger: where each accepted message is, and what became of it.

A consumer takes messages from the queue as an *in-flight batch*. Its holder marks them as
delivered, or claims them to report them as failed, in order. When a shutdown runs out of time,
the thread that shuts down claims the rest. So each message has exactly one outcome, and until
then it is in one place, waiting or in flight: the numbers of accepted and pending messages are
derived from these places, not counted beside them. If the thread of a consumer is killed, what it
held is taken back: another consumer adopts it.

Shares the lock of its queue, but for what a producing call does. Must not know what a message
means, or the network.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from segment_librato.counters import Stats
from segment_librato.process.locks import synchronized
from segment_librato.queue.workers import has_died

if TYPE_CHECKING:
    from collections.abc import Sized

    from segment_librato.errors import SegmentError
    from segment_librato.process.locks import SignalSafeCondition
    from segment_librato.queue.in_flight import InFlightBatch

__all__ = ["Ledger"]


class Ledger:
    """The in-flight batches and the counters of a queue. Thread-safe."""

    def __init__(self, changed: SignalSafeCondition, waiting: Sized) -> None:
        """Open a ledger with nothing in it.

        Args:
            changed: on the queue's lock; notified when messages are settled or abandoned.
            waiting: the messages that were accepted and are not in flight yet.
        """
        self.lock: threading.RLock = changed.lock
        self._changed = changed
        self._waiting = waiting
        self._in_flight: set[InFlightBatch] = set()  # read as a copy: a handler may change it
        outcomes = ("delivered", "failed", "left", "rejected", "dropped")
        self._counts: dict[str, int] = dict.fromkeys(
            (*outcomes, "retries", "requests", "bytes_sent"), 0
        )

    @synchronized
    def stats(self) -> Stats:
        """Return a snapshot of the counters."""
        while True:
            counts = self._counts.copy()
            left, in_flight = counts.pop("left"), self._count_unsettled()
            settled = counts["delivered"] + counts["failed"]
            pending = len(self._waiting) + in_flight + left
            if self.taken == settled + left + in_flight:  # else a signal handler delivered some
                return Stats(
                    accepted=settled + pending, pending=pending, gauges=None, spool=None, **counts
                )

    @property
    def taken(self) -> int:
        """How many messages were ever in flight; under the lock."""
        return self._count_settled() + self._count_unsettled()

    def freeze(self, messages: list[Any]) -> list[Any]:
        """Return what a batch has of these entries of the queue: nothing changes them any more."""
        return [*map(bytes, messages)]

    @synchronized
    def add(self, batch: InFlightBatch) -> None:
        """Count the messages of a batch, which wait no longer, as in flight."""
        batch.first = self.taken
        self._in_flight.add(batch)

    @synchronized
    def drop(self, batch: InFlightBatch) -> None:
        """Drop a batch that has stayed empty."""
        self._in_flight.discard(batch)

    @synchronized
    def adopt(self, batch: InFlightBatch) -> bool:
        """Move what an orphan has left into an empty batch, in its place; return whether any was.

        What was passed to `on_error` has failed. The rest is sent, though a request with it may
        have been under way. If the former holder lives after all, its outcome counts no more.
        """
        for orphan in sorted(self._in_flight.copy(), key=lambda batch: batch.first):
            if orphan.is_orphan:
                self._take_back(orphan)
                batch.first, batch.turns = orphan.first + orphan.claimed, orphan.turns
                self._in_flight.add(batch)
                rest = self.freeze(orphan.messages[orphan.claimed :])
                done = orphan.messages[: orphan.claimed]
                # One statement: Ctrl-C finds each message here or there.
                batch.messages, orphan.messages, orphan.abandoned = rest, done, True
                self._settle(orphan, "failed", 0)
                if batch.messages:
                    return True
                self._in_flight.discard(batch)
        return False

    @synchronized
    def release(self, thread: threading.Thread) -> None:
        """Leave what a thread that is about to end holds to another consumer."""
        for batch in self._in_flight.copy():
            if batch.thread is thread:
                batch.is_orphan = True
        self._changed.notify_all()

    def find_orphans(self) -> None:
        """Note what killed threads of consumers held. Not to be called under the lock.

        To ask gevent whether a thread lives lets other greenlets run.
        """
        for batch in self._in_flight.copy():
            if has_died(batch.thread):
                batch.is_orphan = True

    def has_orphans(self) -> bool:
        """Return whether there is something to adopt."""
        return any(batch.is_orphan for batch in self._in_flight.copy())

    @synchronized
    def mark_delivered(self, batch: InFlightBatch, count: int) -> None:
        """Count the next messages of a batch as delivered."""
        if not batch.abandoned:
            self._settle(batch, "delivered", count, claimed=count)

    @synchronized
    def claim_delivered(self, batch: InFlightBatch, count: int) -> bool:
        """Claim the next messages of a batch, to tell who waits for them, then `settle_delivered`.

        Returns False if they were abandoned.
        """
        if batch.abandoned:
            return False
        batch.claimed, batch.arrived = batch.claimed + count, count
        return True

    @synchronized
    def settle_delivered(self, batch: InFlightBatch) -> None:
        """Count as delivered what was claimed so, if that has not been done."""
        if batch.arrived:
            self._settle(batch, "delivered", batch.arrived)

    @synchronized
    def claim(self, batch: InFlightBatch, count: int) -> bool:
        """Claim the next messages of a batch, to report them and then call `mark_failed`.

        Returns False if they were abandoned.
        """
        if batch.abandoned:
            return False
        batch.claimed += count
        return True

    @synchronized
    def mark_failed(self, batch: InFlightBatch, count: int) -> None:
        """Count claimed messages of a batch as failed, unless they have been taken back."""
        self._settle(batch, "failed", min(count, batch.claimed - batch.settled))

    @synchronized
    def mark_rest_failed(self, batch: InFlightBatch) -> None:
        """Count as failed what the holder of a batch was kept from counting."""
        if not batch.abandoned:
            self._settle(batch, "failed", len(batch.messages) - batch.settled)

    @synchronized
    def abandon(self, left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]]) -> None:
        """Claim every message in flight that has no outcome, oldest first.

        The caller, who holds the batches from now on, reports what is in `left_over` and then
        calls `mark_failed`. A request under way is not stopped, but its outcome no longer counts.
        """
        for batch in sorted(self._in_flight, key=lambda batch: batch.first):
            if batch.is_orphan:
                self._take_back(batch)
            if not batch.is_claimed:
                batch.abandoned = True
                batch.thread, batch.is_orphan = None, False
                batch.thread_id = threading.get_ident()
                left_over.append((batch, batch.unclaimed))
                batch.claimed = len(batch.messages)
        self._changed.notify_all()

    def abandon_after_fork(self) -> int:
        """Abandon all in-flight batches; return how many messages stay with the parent.

        Runs in a forked child: takes no lock.
        """
        for batch in self._in_flight:
            batch.abandoned = True
            batch.claimed = len(batch.messages)
        return len(self._waiting) + self._count_unsettled()

    @synchronized
    def last_error(self) -> SegmentError | None:
        """Return what keeps the oldest messages in flight from being delivered, if it is known."""
        batches = sorted(self._in_flight.copy(), key=lambda batch: batch.first)
        return next((batch.last_error for batch in batches if batch.last_error), None)

    @synchronized
    def first_unsettled(self) -> int:
        """Return how many messages were in flight before the oldest that has no outcome."""
        return min((batch.first for batch in self._in_flight.copy()), default=self.taken)

    @synchronized
    def batches_being_reported(self) -> list[InFlightBatch]:
        """Return the batches of which messages are being reported."""
        return [batch for batch in self._in_flight.copy() if batch.is_being_reported]

    def called_from_delivery(self) -> bool:
        """Return whether the calling thread holds a batch, and so must not wait for it.

        Takes no lock. The system may give the id of a thread that was killed to a new one.
        """
        caller = threading.get_ident()
        held = [batch for batch in self._in_flight.copy() if batch.thread_id == caller]
        return not all(has_died(batch.thread) for batch in held)

    def count_rejection(self) -> None:
        """Count a message that was rejected. Takes no lock."""
        self._counts["rejected"] += 1

    def count_drop(self) -> None:
        """Count a message that the application left out. Takes no lock."""
        self._counts["dropped"] += 1

    @synchronized
    def count_request(self, bytes_sent: int, *, retry: bool) -> None:
        """Count a request."""
        self._counts["requests"] += 1
        self._counts["retries"] += retry
        self._counts["bytes_sent"] += bytes_sent

    def is_empty(self) -> bool:
        """Return whether nothing is in flight. Takes no lock."""
        return not self._in_flight

    def _take_back(self, orphan: InFlightBatch) -> None:
        """See to what the holder of an orphan had claimed without counting it."""
        self.settle_delivered(orphan)
        if orphan.report and orphan.report.was_reported:
            self._settle(orphan, "failed", orphan.claimed - orphan.settled)
        else:
            orphan.claimed = orphan.settled

    def _count_settled(self) -> int:
        return self._counts["delivered"] + self._counts["failed"] + self._counts["left"]

    def _count_unsettled(self) -> int:
        return sum(len(batch.messages) - batch.settled for batch in self._in_flight.copy())

    def _settle(self, batch: InFlightBatch, outcome: str, count: int, claimed: int = 0) -> None:
        # One statement: Ctrl-C finds all of it done, or nothing.
        batch.claimed, batch.settled, batch.arrived, self._counts[outcome] = (
            batch.claimed + claimed,
            batch.settled + count,
            0 if outcome == "delivered" else batch.arrived,
            self._counts[outcome] + count,
        )
        if batch.settled == len(batch.messages):
            self._in_flight.discard(batch)
        self._changed.notify_all()
