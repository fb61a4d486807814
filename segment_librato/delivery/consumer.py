"""The background worker: takes batches from the queue, sends, retries, splits, reports.

It has a thread rather than being one, so that it can be started on the first message and again
when needed, in a forked child for example. Knows nothing of HTTP: what sends is a `Transport`.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Protocol

from segment_librato.delivery.report import Failure
from segment_librato.delivery.retry import RetrySchedule
from segment_librato.errors import DeliveryError, NetworkError, SegmentError, ShutdownTimeoutError
from segment_librato.log import log
from segment_librato.queue.batch import Batch
from segment_librato.queue.ledger import Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.config.client import Config
    from segment_librato.delivery.report import Reporter
    from segment_librato.queue.message_queue import MessageQueue

__all__ = ["Consumer", "Transport"]

MAX_SPLITS = 64  # in a row: then the server seems to refuse everything


class Transport(Protocol):
    """What sends a batch: the one seam of the pipeline."""

    def send(self, batch: Batch) -> None:
        """Send a batch, or raise a `SegmentError` that says why it is not delivered.

        What was delivered in part is a success, with the rest in `batch.refused`.
        """

    def close(self) -> None:
        """Close connections; called when no more will be sent, maybe more than once."""

    def reset_after_fork(self) -> None:
        """Leave connections to the parent, untouched, and have none."""


class Consumer:
    """Delivers what a queue holds, one request at a time."""

    def __init__(
        self,
        queue: MessageQueue,
        transport: Transport,
        report: Reporter,
        config: Config,
        on_leave: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._transport = transport
        self._report = report
        self._config = config
        self._on_leave = on_leave
        self.thread: threading.Thread | None = None

    def is_alive(self) -> bool:
        """Return whether its thread runs; it does from the first message on."""
        return self.thread is not None and self.thread.is_alive()

    def start(self) -> None:
        """Start the thread, unless the consumer is there already.

        Raises:
            RuntimeError: no thread can be started, as late in the interpreter's exit.
        """
        if sys.is_finalizing():  # it would be started and never run, and `start` wait for ever
            raise RuntimeError("the interpreter exits")
        thread = threading.Thread(target=self._run, name="segment-consumer", daemon=True)
        try:
            if self._queue.enlist(self, thread):
                self.thread = thread
                thread.start()
        except BaseException:
            if thread.ident is None:
                self._queue.withdraw(self, thread)
            raise

    def drain(self, deadline: float | None) -> None:
        """Deliver what waits on the calling thread; leave the rest at the deadline."""
        while deadline is None or self._queue.clock.now() < deadline:
            lease = Lease()
            try:
                if not self._queue.take_now(lease):
                    return
                self.deliver(lease, deadline)
            except BaseException as interruption:
                self.give_up(lease, interruption)
                raise

    def deliver(self, lease: Lease, deadline: float | None = None) -> SegmentError | None:
        """Send the messages of a lease and see to it that each has an outcome.

        A retry that would come after the deadline is not made. Returns the last error that left
        messages undelivered, None if all were delivered. After any exception (Ctrl-C, or an
        exit in code of the application) `give_up` has to be called.
        """
        failure = None
        batches = [Batch(tuple(lease.messages))]
        splits_left = MAX_SPLITS
        while batches and not lease.abandoned:
            batch = batches.pop()
            error = self._send(batch, lease, deadline)
            if error is None:
                failure = self._settle(lease, batch) or failure
                splits_left = MAX_SPLITS
            elif error.blames_a_message and len(batch) > 1 and splits_left:
                splits_left -= 1
                batches.extend(reversed(batch.halves()))
            else:
                failure = error
                self._fail(lease, batch.messages, error)
        if lease.refused_before:  # said late, as a log handler may hold it up
            self._report.room(lease.refused_before)
        return failure

    def give_up(self, lease: Lease, interruption: BaseException) -> None:
        """See to the outcome of what an interrupted `deliver` left without one."""
        error = DeliveryError(f"interrupted by {type(interruption).__name__}")
        if lease.claimed > lease.settled and lease.failure and not lease.failure.is_told:
            self._report.failure(lease.failure)
        self._fail(lease, lease.unclaimed, error)
        self._queue.account.fail_rest(lease)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException:
            self._queue.leave(self)
            raise

    def _work(self) -> None:
        account = self._queue.account  # another in a forked child, where gevent lets this go on
        while self._queue.account is account and (lease := self._queue.take(self)) is not None:
            try:
                self.deliver(lease)
            except BaseException as interruption:  # noqa: BLE001, PERF203  it serves others too
                log.warning("the consumer goes on after %s", type(interruption).__name__)
                self.give_up(lease, interruption)
        if self._queue.closed:
            self._transport.close()
        self._on_leave()

    def _settle(self, lease: Lease, batch: Batch) -> SegmentError | None:
        """See to the outcomes of a batch that was sent; return the last reason of a refusal."""
        refusal = None
        for error, messages in batch.outcomes():
            if error is None:
                self._queue.account.confirm(lease, len(messages))
            else:
                refusal = error
                self._fail(lease, messages, error)
        return refusal

    def _fail(self, lease: Lease, messages: tuple[bytes, ...], error: SegmentError) -> None:
        """Report the next messages of a lease, unless they were abandoned and so reported."""
        failure = lease.failure = Failure(error, messages)
        if messages and self._queue.account.claim(lease, len(messages)):
            try:
                self._report.failure(failure)
            except BaseException:  # Ctrl-C
                if not failure.is_told:
                    self._report.failure(failure)
                raise
            finally:
                self._queue.account.fail(lease, len(messages))

    def _send(self, batch: Batch, lease: Lease, deadline: float | None) -> SegmentError | None:
        """Send a batch until it succeeds or is not worth another try; return the last error."""
        clock = self._queue.clock
        schedule = RetrySchedule(self._config)
        while (error := self._attempt(batch, deadline)) is not None:
            lease.last_error = error
            now = clock.now()
            wait = schedule.next_wait(error, now)
            if wait is None:
                return error
            if deadline is not None and now + wait > deadline:
                return ShutdownTimeoutError(f"time ran out before another try; {error}")
            level = logging.DEBUG if batch.retries else logging.WARNING
            log.log(level, "%s; messages to be sent again in %.1f s: %d", error, wait, len(batch))
            if not self._queue.pause(lease, now + wait):
                return error
            batch.retries += 1
        return None

    def _attempt(self, batch: Batch, deadline: float | None) -> SegmentError | None:
        sent_before = batch.bytes_sent
        if deadline is not None:
            batch.timeout = max(0, deadline - self._queue.clock.now())
        try:
            self._transport.send(batch)
        except SegmentError as error:
            return error
        except Exception as error:  # noqa: BLE001  a transport may be the application's own
            return NetworkError(f"the transport raised {type(error).__name__}")
        finally:
            self._queue.account.count_request(
                batch.bytes_sent - sent_before, retry=batch.retries > 0
            )
        return None
