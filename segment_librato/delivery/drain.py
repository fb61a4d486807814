"""The delivery of a backlog on the calling thread, until it is empty or there is no use.

Owns which errors end a drain, and leave the rest where it is. Must not know files or HTTP.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from segment_librato.delivery.consumer import Delivery
from segment_librato.delivery.report import Failure
from segment_librato.delivery.retry import Decision
from segment_librato.errors import ShutdownTimeoutError
from segment_librato.foreign.interruption import clear_locals
from segment_librato.log import log
from segment_librato.queue.ledger import InFlightBatch
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.spooled import SpooledLedger, SpooledMessage, delete_settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.config.client import Config
    from segment_librato.counters import Stats
    from segment_librato.delivery.report import Reporter
    from segment_librato.delivery.retry import RetryTable
    from segment_librato.errors import SegmentError, SpoolCorruptError
    from segment_librato.queue.ledger import Ledger
    from segment_librato.queue.schedule import BatchRules
    from segment_librato.spooling.backlog import Backlog, LeftBatch
    from segment_librato.transport.base import Transport

__all__ = ["Drain"]


class Drain:
    """A drain of one folder. For one thread at a time.

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
    ) -> None:
        self.quarantined = 0
        self._report = report
        self._queue = _Queue(0, rules)
        self._begin: Callable[[InFlightBatch], _Delivery] = partial(
            _Delivery, self._queue, transport, report, config, table
        )

    def count_corrupt(self, error: SpoolCorruptError) -> None:
        """Count a part of a file that could not be read, and report it."""
        self.quarantined += 1
        self._report.failure(Failure(error, []))

    def stats(self) -> Stats:
        """Return what became of the messages so far."""
        return self._queue.ledger.stats()

    def run(self, backlog: Backlog, timeout: float | None, on_batch: Callable[[], object]) -> None:
        """Deliver batches until none is left, time runs out, or one has to stay.

        Args:
            backlog: where they come from; it is not closed.
            timeout: in seconds; None is no limit.
            on_batch: called after each.
        """
        clock = self._queue.clock
        deadline = None if timeout is None else clock.deadline(timeout)
        has_found = True
        while deadline is None or clock.now() < deadline:
            batch = backlog.take()
            if batch is None:
                if not has_found:  # nor has anybody left something since
                    return
                has_found = False
                continue
            has_found = True
            error = self._deliver(batch, deadline)
            on_batch()
            if error:
                log.warning("the rest stays in the spool: %s", error)
                return

    def _deliver(self, left: LeftBatch, deadline: float | None) -> SegmentError | None:
        """Deliver a batch; return why it stays, as far as it does."""
        messages = [SpooledMessage(payload, segment) for segment, payload in left.messages]
        delivery = self._begin(InFlightBatch(*messages))
        self._queue.admit(delivery.batch)
        try:
            delivery.run(deadline)
        except BaseException as interruption:
            clear_locals(interruption)
            raise
        finally:
            self._queue.ledger.drop(delivery.batch)
            delete_settled(messages)
        return delivery.stays_for


class _Delivery(Delivery):
    """The delivery of a batch that may stay where it is.

    Attributes:
        stays_for: the error for which messages stay; None if all have their outcome.
    """

    stays_for: SegmentError | None = None

    def _fail(self, messages: tuple[bytes, ...], error: SegmentError) -> None:
        if self._is_worth_another_drain(error, len(messages)):
            self.stays_for = error
            self.batch.abandoned = True
        else:
            super()._fail(messages, error)

    def _is_worth_another_drain(self, error: SegmentError, count: int) -> bool:
        """Return whether the messages stay: later, or after a correction, they may arrive."""
        decision = self._decide(error)
        if decision is Decision.RETRY or isinstance(error, ShutdownTimeoutError):
            return True
        return not (self._report.has_on_error or (decision is Decision.SPLIT and count == 1))


class _Queue(MessageQueue):
    def _make_ledger(self) -> Ledger:
        return SpooledLedger(self._changed, self._waiting)
