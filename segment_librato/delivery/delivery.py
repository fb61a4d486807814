"""The delivery of one batch: send, retry, split, report, until each message has an outcome.

Owns the outcome of the batch, and what becomes of it if an exception ends the delivery. Must not
know threads, or HTTP: what sends is a `Transport`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.delivery.report import Failure
from segment_librato.delivery.retry import Decision, RetrySchedule
from segment_librato.errors import (
    DeliveryError,
    NetworkError,
    SegmentError,
    ShutdownTimeoutError,
    SpoolExpiredError,
    without_frames,
)
from segment_librato.foreign.interruption import being_handled, clear_locals, let_through
from segment_librato.queue.batch import Batch

if TYPE_CHECKING:
    from segment_librato.config.client import Config
    from segment_librato.delivery.report import Reporter
    from segment_librato.delivery.retry import RetryTable
    from segment_librato.queue.in_flight import InFlightBatch
    from segment_librato.queue.message_queue import MessageQueue
    from segment_librato.transport.base import Receipt, Transport

__all__ = ["MAX_SPLITS", "Delivery"]

MAX_SPLITS = 64  # in a row; after that, the server seems to reject everything


class Delivery:
    """The delivery of one in-flight batch. For one thread at a time.

    Attributes:
        time_for_retries: seconds in which a request and its retries end, from the first one on;
            None is no limit beyond those of the options.
    """

    def __init__(
        self,
        queue: MessageQueue,
        transport: Transport,
        report: Reporter,
        config: Config,
        table: RetryTable,
        batch: InFlightBatch,
    ) -> None:
        self._queue = queue
        self._transport = transport
        self._report = report
        self._config = config
        self._table = table
        self.batch = batch
        self.time_for_retries: float | None = None
        self._failure: Failure | None = None  # the last one to be reported

    def run(self, deadline: float | None = None) -> SegmentError | None:
        """Send the messages and see to it that each has an outcome.

        A retry that would come after the deadline is not made. Returns the last error that left
        messages undelivered, None if all were delivered. After any exception (Ctrl-C, or an exit
        in the application's code) the caller must call `give_up`.
        """
        failure: SegmentError | None = self._fail_expired()
        rest = self.batch.unclaimed
        batches = [Batch(rest, retries=self.batch.turns)] if rest else []
        splits = 0  # in a row
        while batches and not self.batch.abandoned:
            batch = batches.pop()
            outcome = self._send(batch, deadline)
            if not isinstance(outcome, SegmentError):
                failure = self._settle(batch, outcome) or failure
                splits = 0
            elif self._decide(outcome) is Decision.SPLIT and self._may_split(batch, splits):
                splits += 1
                batches.extend(reversed(batch.halves()))
            elif self._set_aside(outcome):
                failure = outcome
                break
            else:
                failure = outcome
                self._fail(batch.messages, outcome)
        self._queue.tidy(self.batch)
        if resumed := self._queue.take_resumed():  # last, because a log handler may block
            self._report.resumed(resumed)
        return failure

    def give_up(self, interruption: BaseException) -> None:
        """See to the outcome of what an interrupted `run` left without one."""
        clear_locals(interruption)  # `on_error`, or whoever catches it, may have it uploaded
        batch, failure = self.batch, self._failure
        self._queue.ledger.settle_delivered(batch)
        error = DeliveryError(f"interrupted by {type(interruption).__name__}")
        if batch.claimed > batch.settled and failure and not failure.was_reported:
            self._report.failure(failure)
        self._fail(batch.unclaimed, error)
        self._queue.ledger.mark_rest_failed(batch)
        self._queue.tidy(batch)

    def fail(self, error: SegmentError) -> None:
        """Report all messages without sending them."""
        self._fail(self.batch.unclaimed, error)
        self._queue.tidy(self.batch)

    def _fail_expired(self) -> SegmentError | None:
        """Report messages that are too old; return why they are not sent, if there are any."""
        count = self._queue.count_expired(self.batch)
        if not count:
            return None
        error = SpoolExpiredError("too old: in the spool for longer than max_age")
        self._fail(self.batch.unclaimed[:count], error)
        return error

    def _set_aside(self, error: SegmentError) -> bool:
        """Keep what is left for another try if it is on disk, and a later try may succeed."""
        is_late = isinstance(error, ShutdownTimeoutError)
        if not (is_late or self._decide(error) is Decision.RETRY):
            return False
        return self._queue.set_aside(self.batch, error.retry_after)

    def _may_split(self, batch: Batch, splits: int) -> bool:
        """Return whether to split a batch after so many splits without a success in between."""
        return len(batch) > 1 and splits < MAX_SPLITS

    def _decide(self, error: SegmentError) -> str:
        return self._table.decide(error, uses_oauth=self._config.uses_oauth)

    def _settle(self, batch: Batch, receipt: Receipt) -> SegmentError | None:
        """See to the outcomes of a batch that was sent; return the last error among them."""
        failure = None
        for error, messages in batch.outcomes(receipt.failed):
            if error is None:
                self._deliver(messages)
            else:
                failure = error
                self._fail(messages, error)
        return failure

    def _deliver(self, messages: tuple[bytes, ...]) -> None:
        """Count the next messages as delivered, after `on_delivered` was called with them."""
        ledger = self._queue.ledger
        if not self._report.has_on_delivered:
            ledger.mark_delivered(self.batch, len(messages))
        elif ledger.claim_delivered(self.batch, len(messages)):
            try:
                self._report.delivery(messages)
            finally:
                ledger.settle_delivered(self.batch)

    def _fail(self, messages: tuple[bytes, ...], error: SegmentError) -> None:
        """Report the next messages, unless they were abandoned and so are reported already."""
        failure = self._failure = self.batch.report = Failure(error, messages)
        ledger = self._queue.ledger
        if messages and ledger.claim(self.batch, len(messages)):
            try:
                self._report.failure(failure)
            except BaseException:  # Ctrl-C
                if not failure.was_reported:
                    self._report.failure(failure)
                raise
            finally:
                ledger.mark_failed(self.batch, len(messages))

    def _send(self, batch: Batch, deadline: float | None) -> Receipt | SegmentError:
        """Send a batch until it succeeds or is not worth another try."""
        clock = self._queue.clock
        schedule = RetrySchedule(self._config)
        end = self._end_of_retries(deadline)
        while isinstance(outcome := self._attempt(batch, end), SegmentError):
            self.batch.last_error = outcome
            if self._decide(outcome) is not Decision.RETRY:
                break
            now = clock.now()
            wait = schedule.next_wait(outcome, now)
            if wait is None or self.batch.turns:
                break
            if end is not None and now + wait > end:
                if end != deadline:
                    break
                return ShutdownTimeoutError(f"time ran out before another try; {outcome}")
            if wait >= self._queue.expires_in(self.batch):
                break  # it is set aside until then
            self._report.retry(outcome, wait, len(batch), is_first=not batch.retries)
            if not self._queue.pause(self.batch, now + wait):
                break
            batch.retries += 1
        return outcome

    def _end_of_retries(self, deadline: float | None) -> float | None:
        """Return when the last try has to end; None if there is no such time."""
        if self.time_for_retries is None:
            return deadline
        own = self._queue.clock.deadline(self.time_for_retries)
        return own if deadline is None else min(own, deadline)

    def _attempt(self, batch: Batch, deadline: float | None) -> Receipt | SegmentError:
        timeout = None if deadline is None else max(0, deadline - self._queue.clock.now())
        bytes_sent = 0
        handled = being_handled()
        try:
            receipt = self._transport.send(batch, timeout)
            bytes_sent = receipt.bytes_sent
        except SegmentError as error:
            bytes_sent = error.bytes_sent
            return without_frames(error)
        except Exception as error:  # noqa: BLE001  a transport may be the application's own
            let_through(error, handled)
            return NetworkError(f"the transport raised {type(error).__name__}")
        finally:
            self._queue.ledger.count_request(bytes_sent, retry=batch.retries > 0)
        return receipt
