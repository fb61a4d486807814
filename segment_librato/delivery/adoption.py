"""The delivery of what dead processes left, by a client that has nothing else to do.

Their messages have a ledger of their own: the counters of the client are about what it accepted.
Owns which errors leave them where they are, and when a client looks for more. Must not know files
or HTTP.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from segment_librato.delivery.delivery import Delivery
from segment_librato.delivery.report import Failure
from segment_librato.delivery.retry import Decision
from segment_librato.errors import ShutdownTimeoutError, SpoolExpiredError, SpoolFullError
from segment_librato.foreign.interruption import clear_locals
from segment_librato.log import log
from segment_librato.process.clock import ALREADY_OVER
from segment_librato.queue.in_flight import InFlightBatch
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.pauses import jittered, pause_after
from segment_librato.queue.spooled import SpooledLedger, SpooledMessage, delete_settled
from segment_librato.spooling.backlog import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.config.client import Config
    from segment_librato.counters import Stats
    from segment_librato.delivery.report import Reporter
    from segment_librato.delivery.retry import RetryTable
    from segment_librato.errors import SegmentError, SpoolCorruptError
    from segment_librato.process.clock import Clock
    from segment_librato.queue.ledger import Ledger
    from segment_librato.queue.schedule import BatchRules
    from segment_librato.spooling.backlog import LeftBatch
    from segment_librato.spooling.spool import Spool
    from segment_librato.transport.base import Transport

__all__ = ["Adopter", "Adoption"]

LOOK_SECONDS = 30.0  # between two looks at the folder
MAX_PAUSE = 600.0  # after errors, each of which doubles it


class Adopter:
    """Delivers batches of what dead processes left. For one thread at a time.

    Attributes:
        quarantined: how many parts of files could not be read.
    """

    def __init__(
        self,
        config: Config,
        rules: BatchRules,
        transport: Transport,
        report: Reporter,
        table: RetryTable,
        clock: Clock | None = None,
    ) -> None:
        self.quarantined: int = 0
        self._report = report
        self._queue = _Queue(0, rules, clock=clock)
        self._begin: Callable[[InFlightBatch], _Delivery] = partial(
            _Delivery, self._queue, transport, report, config, table
        )

    @property
    def clock(self) -> Clock:
        """The clock of waits."""
        return self._queue.clock

    def reset_after_fork(self) -> None:
        """Forget what the parent delivers."""
        self._queue.reset()

    def stats(self) -> Stats:
        """Return what became of the messages so far."""
        return self._queue.ledger.stats()

    def count_corrupt(self, error: SpoolCorruptError) -> None:
        """Count a part of a file that could not be read, and report it."""
        self.quarantined += 1
        self._report.failure(Failure(error, []))

    def drop(self, left: LeftBatch) -> None:
        """Report a batch instead of delivering it: it has to make room."""
        error = SpoolFullError("the spool was full, and these were the oldest")
        self._see_to(left, lambda delivery: delivery.report(error))

    def deliver(self, left: LeftBatch, deadline: float | None = None) -> SegmentError | None:
        """Deliver a batch; return why it stays, as far as it does.

        What is too old is reported instead.
        """
        if not left.is_expired:
            return self._see_to(left, lambda delivery: delivery.run(deadline))
        error = SpoolExpiredError("too old: in the spool for longer than max_age")
        return self._see_to(left, lambda delivery: delivery.report(error))

    def _see_to(self, left: LeftBatch, work: Callable[[_Delivery], object]) -> SegmentError | None:
        """Give the messages of a batch their outcome; return why some stay."""
        messages = [SpooledMessage(payload, segment) for segment, payload in left.messages]
        delivery = self._begin(InFlightBatch(*messages))
        self._queue.admit(delivery.batch)
        try:
            work(delivery)
        except BaseException as interruption:
            clear_locals(interruption)
            raise
        finally:
            self._queue.ledger.drop(delivery.batch)
            delete_settled(messages)
        return delivery.stays_for


class Adoption:
    """What the consumers of a queue do with the backlog in its spool: one of them at a time.

    Attributes:
        is_under_way: whether one of them does so now.
    """

    def __init__(
        self,
        queue: MessageQueue,
        spool: Spool,
        transport: Transport,
        report: Reporter,
        config: Config,
        table: RetryTable,
    ) -> None:
        rules = queue.rules
        # One try each time: the messages of the client itself must not wait for these.
        config = config.with_options(max_retries=0, max_rate_limit_duration=0)
        self._queue = queue
        self._spool = spool
        self._adopter = Adopter(config, rules, transport, report, table, queue.clock)
        self._backlog = Backlog(
            spool.folder,
            rules.max_messages,
            rules.max_bytes,
            self._count_corrupt,
            spool.config.max_age,
        )
        spool.count_adopted = self._count_adopted
        self.is_under_way: bool = False
        self._failures = 0  # in a row
        self._look_at = ALREADY_OVER

    def reset_after_fork(self) -> None:
        """Leave to the parent what it has taken."""
        self._adopter.reset_after_fork()
        self.is_under_way = False
        self._failures = 0
        self._look_at = ALREADY_OVER

    def run(self) -> None:
        """Deliver a batch, and have the queue say when the next one is due."""
        pause: float | None = None
        try:
            self.is_under_way = True
            pause = self._deliver_next()
        except OSError as error:
            self._spool.errors += 1
            log.debug("the spool cannot be looked at: %s", error.strerror)
        finally:
            self.is_under_way = False
            if pause is None:
                self._backlog.close()
                pause = jittered(LOOK_SECONDS)
            self._look_at = self._queue.clock.deadline(pause)
            self._queue.adopt_at(self._look_at)

    def make_room(self) -> bool:
        """Report the oldest messages that dead processes left while the spool is too full.

        Returns whether newer ones have to make room as well, if it is too full still: not while a
        consumer tries to deliver the oldest, unless there is little room left until it has.
        """
        if not self._queue.claim_adoption():
            return not self._spool.has_slack()
        try:
            while self._spool.excess() and (batch := self._backlog.take()):
                self._adopter.drop(batch)
                self._spool.measure()
        except OSError as error:
            self._spool.errors += 1
            log.debug("the spool cannot be looked at: %s", error.strerror)
        finally:
            self._backlog.close()
            self._queue.adopt_at(self._look_at)
        return True

    def leave(self) -> None:
        """Let go of what has no outcome, unless another thread is delivering it."""
        if self._queue.claim_adoption():
            try:
                self._backlog.close()
            finally:
                self._queue.adopt_at(ALREADY_OVER)

    def _deliver_next(self) -> float | None:
        """Deliver a batch; return the pause before the next one, None if there is none."""
        batch = self._backlog.take()
        if batch is None:
            return None
        error = self._adopter.deliver(batch)
        if error is None:
            self._failures = 0
            return 0.0
        self._backlog.close()
        pause = pause_after(self._failures, LOOK_SECONDS, MAX_PAUSE)
        self._failures += 1
        log.debug("what others left stays for %.0f s: %s", pause, error)
        return max(pause, error.retry_after or 0)

    def _count_adopted(self) -> tuple[int, int]:
        """Return how many messages were taken over, and how many of them were delivered."""
        stats = self._adopter.stats()
        return stats.delivered + stats.failed, stats.delivered

    def _count_corrupt(self, error: SpoolCorruptError) -> None:
        self._spool.quarantined += 1
        self._adopter.count_corrupt(error)


class _Delivery(Delivery):
    """The delivery of a batch that may stay where it is.

    Attributes:
        stays_for: the error for which messages stay; None if all have their outcome.
    """

    stays_for: SegmentError | None = None

    def report(self, error: SegmentError) -> None:
        """Report all messages, whatever the error is."""
        super()._fail(self.batch.unclaimed, error)

    def _fail(self, messages: tuple[bytes, ...], error: SegmentError) -> None:
        if self._is_worth_another_try(error, len(messages)):
            self.stays_for = error
            self.batch.abandoned = True
        else:
            super()._fail(messages, error)

    def _is_worth_another_try(self, error: SegmentError, count: int) -> bool:
        """Return whether the messages stay: later, or after a correction, they may arrive."""
        decision = self._decide(error)
        if decision is Decision.RETRY or isinstance(error, ShutdownTimeoutError):
            return True
        return not (self._report.has_on_error or (decision is Decision.SPLIT and count == 1))


class _Queue(MessageQueue):
    """What a delivery needs of a queue; nothing waits in it."""

    def _make_ledger(self) -> Ledger:
        return SpooledLedger(self._changed, self._waiting)
