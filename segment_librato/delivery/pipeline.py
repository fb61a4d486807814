"""Delivers queued messages: consumers, transport, error reports.

Owns when consumers are started and stopped, and what flush, join, shutdown, exit and fork mean
for them. Must not know what a message says, or HTTP. It is long because all of these wait for the
same consumers, and each has to know which of the others is under way.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from segment_librato.delivery.consumer import Consumer
from segment_librato.delivery.delivery import Delivery
from segment_librato.delivery.notices import WaitNotices, why
from segment_librato.delivery.report import Failure
from segment_librato.errors import DeliveryError, ShutdownTimeoutError
from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.log import log
from segment_librato.process.clock import ALREADY_OVER
from segment_librato.process.exit import (
    REPORT_GRACE,
    exit_state,
    hook_into_frameworks,
    register_at_exit,
    unregister_at_exit,
)
from segment_librato.process.fork import register_after_fork
from segment_librato.process.imports import call_when_imported, is_importing_here
from segment_librato.process.sigterm import flush_on_sigterm_in_child
from segment_librato.queue.message_queue import REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.config.client import Config
    from segment_librato.delivery.report import Reporter
    from segment_librato.delivery.retry import RetryTable
    from segment_librato.delivery.upkeep import Upkeep
    from segment_librato.errors import RejectionError, SegmentError, SpoolCorruptError
    from segment_librato.queue.in_flight import InFlightBatch
    from segment_librato.queue.message_queue import MessageQueue
    from segment_librato.queue.schedule import Item
    from segment_librato.spooling.spool import Spool
    from segment_librato.transport.lazy import LazyTransport

__all__ = ["Pipeline"]

TIDY_GRACE = 1.0  # seconds beyond a deadline, to delete what would be delivered once more
MAX_ROUNDS = 10  # of reports; after that, each call of `on_error` seems to track


class Pipeline:
    """Consumers for a queue. Thread-safe.

    It outlives the client that made it for as long as it has something to deliver.
    """

    def __init__(
        self,
        config: Config,
        queue: MessageQueue,
        transport: LazyTransport,
        report: Reporter,
        table: RetryTable,
        spool: Spool | None = None,
    ) -> None:
        self.config = config
        self.queue = queue
        self.report = report
        self._transport = transport
        self.begin: Callable[[InFlightBatch], Delivery] = partial(
            Delivery, queue, transport, report, config, table
        )
        self._spool = spool
        if spool:
            spool.on_loss = self._tell_loss
        self._upkeep = self._make_upkeep(table)
        adoption = self._upkeep.adoption if self._upkeep else None
        self.consumers: list[Consumer] = [
            Consumer(queue, self.begin, self._consumer_left, adoption) for _ in range(config.thread)
        ]
        self._starting_threads: set[int] = set()
        self._can_start = True
        self._left_to_parent: int | None = None  # messages, until the fork has been logged
        self._has_tracked_here = False  # `on_error`, while this thread reports
        self._is_hooked_in = True
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Leave to the parent what waits here or is in flight, and its connections."""
        self._left_to_parent = self.queue.ledger.abandon_after_fork()
        self.queue.reset()
        self._starting_threads = set()
        self._is_hooked_in = True
        for consumer in self.consumers:
            consumer.thread = None  # which Python may still take for alive
        self._transport.reset_after_fork()
        if self._upkeep:
            self._upkeep.reset_after_fork()

    def _make_upkeep(self, table: RetryTable) -> Upkeep | None:
        """Return what looks after the spool; None if there is none, or this process only writes."""
        spool = self._spool
        if not (spool and spool.config.deliver):
            return None
        from segment_librato.delivery.upkeep import Upkeep  # few need it

        parts = spool, self._transport, self.report, self.config, table
        return Upkeep(self.queue, *parts, self.begin)

    def accept(self, message: bytes | Item) -> bool:
        """Take a message in, to be sent in the background; return whether it was accepted.

        If not, it was reported.
        """
        queue = self.queue
        is_unserved = queue.is_unserved and not queue.workers.count
        if (is_unserved or not self._is_hooked_in) and not queue.closed:
            register_at_exit(self)
            self.hook_in()
        state = queue.offer(message)
        if state is None and not queue.is_unserved and exit_state.began is None:
            return True
        if state is REFUSED and (rejection := self._put_when_full(message)):
            self.report.rejection(rejection, bytes(message))
            return False
        self._ensure_sent()
        return True

    def hook_in(self) -> None:
        """See to it that the process drains, however a framework ends it.

        If that needs the main thread, later calls try again until one of them runs there.
        """
        hook_into_frameworks()
        self._is_hooked_in = not self.config.flush_in_children or flush_on_sigterm_in_child()

    def flush(self, deadline: float | None) -> bool:
        """Send all that was accepted so far; return whether all of it has an outcome in time.

        Deadlines are times of the queue's clock; None means no deadline.
        """
        if self.called_from_delivery():
            return False
        mark, is_served = self.begin_flush()
        if not is_served:
            self.consumers[0].drain(deadline)
            self.keep_for_exit()
            if self._spool:
                self._spool.sync()
        is_settled = self._wait_until_settled(mark, deadline)
        while is_settled is None and not self._is_over(deadline) and self._has_consumers():
            is_settled = self._wait_until_settled(mark, deadline)  # one was killed
        if not is_settled:
            log.debug("flush timed out; messages pending: %d", self.queue.ledger.stats().pending)
        return bool(is_settled)

    def adopt(self) -> None:
        """Have a consumer deliver what dead processes left in the spool, if there is one."""
        if self._upkeep and not self.queue.closed and exit_state.began is None:
            self._has_consumers()

    def _is_over(self, deadline: float | None) -> bool:
        return deadline is not None and self.queue.clock.now() >= deadline

    def _wait_until_settled(self, mark: int, deadline: float | None) -> bool | None:
        """Wait as the queue does; log now and then why it takes so long."""
        notices = WaitNotices(self.queue, self.destination)
        while deadline is None or notices.next_at < deadline:
            is_settled = self.queue.wait_until_settled(mark, notices.next_at)
            if is_settled is not False:
                return is_settled
            notices.log_if_due()
        return self.queue.wait_until_settled(mark, deadline)

    @property
    def destination(self) -> str:
        """Where messages go, in words for a log."""
        return self._transport.destination

    def begin_flush(self) -> tuple[int, bool]:
        """Send all that was accepted so far, without waiting.

        Returns the mark for `is_settled`, and whether a consumer will send what waits.
        """
        mark = self.queue.begin_flush()
        self.queue.find_dead()
        return mark, not self.queue.needs_consumer() or self._has_consumers()

    def is_settled(self, mark: int) -> bool:
        """Return whether all that was accepted before the mark has an outcome."""
        is_settled = self.queue.wait_until_settled(mark, ALREADY_OVER)
        if is_settled is None:
            self._has_consumers()
        return bool(is_settled)

    def has_no_workers(self) -> bool:
        """Return whether no consumer is present."""
        return not self.queue.workers.count

    def join(self, deadline: float | None) -> bool:
        """Flush and stop the threads; the next message starts them again."""
        is_settled = self.flush(deadline)
        if is_settled and not self._is_starting_here():
            threads = [one.thread for one in self.consumers if one.thread and one.is_alive()]
            self.queue.workers.drain()
            has_left = self._wait_until_none(deadline)
            deadline = self._end_of_tidying(deadline)
            # A thread may take the lock once more, at its end.
            if has_left and not self.queue.is_locked_by_caller():
                clock = self.queue.clock
                for thread in threads:
                    thread.join(None if deadline is None else max(0, deadline - clock.now()))
            if has_left and self._upkeep:
                self._upkeep.stop()
                self._upkeep.join(1)
        return is_settled

    def _wait_until_none(self, deadline: float | None) -> bool:
        """Wait until no consumer is left; return whether none is.

        The exit waits only for a moment for one that delivers what others left: that is on disk,
        and the server may not answer.
        """
        workers, upkeep = self.queue.workers, self._upkeep
        end = self._end_of_tidying(deadline)
        if not upkeep or exit_state.began is None or deadline is None:
            return workers.wait_until_none(end)
        soon = min(deadline, self.queue.clock.deadline(TIDY_GRACE))
        return workers.wait_until_none(soon) or (
            workers.wait_until_none(end, lambda: upkeep.adoption.is_under_way) and not workers.count
        )

    def _end_of_tidying(self, deadline: float | None) -> float | None:
        """Return until when to wait for consumers that may have files of delivered messages."""
        if deadline is None or not self._spool:
            return deadline
        return max(deadline, self.queue.clock.deadline(TIDY_GRACE))

    def shutdown(self, deadline: float | None) -> bool:
        """Reject messages from now on, flush, stop; what is left goes to `on_error`.

        Reports that another thread has begun, for another shutdown perhaps, get some grace. If
        that is not enough, they get some more at the exit.
        """
        self.queue.close()
        if self.called_from_delivery():
            return False
        is_settled = self.join(deadline)
        self._abandon()
        self._wait_for_reports(REPORT_GRACE)
        self._transport.close()
        self._close_spool()
        self.tell_left()
        if self.queue.is_settled():
            unregister_at_exit(self)
        return is_settled

    def _close_spool(self) -> None:
        """Let go of the spool, unless somebody still reports what is in it."""
        self.queue.drop_settled()
        if self._upkeep:
            self._upkeep.stop()
        if self.queue.is_settled():
            self.queue.close_files()

    def called_from_delivery(self) -> bool:
        """Return whether the calling thread delivers, as `on_error` does, and must not wait.

        Nor must a log handler on the thread of a consumer, or a signal handler that interrupted
        the imports.
        """
        if is_importing_here() or self.queue.ledger.called_from_delivery():
            return True
        if self._upkeep and self._upkeep.runs_caller():
            return True
        return any(consumer.runs_caller() for consumer in self.consumers)

    def send_at_once(self) -> None:
        """Start sending all that waits; do not wait for it. Takes no lock."""
        self.queue.send_at_once()
        if self._is_unattended():
            self._has_consumers()

    def has_pending(self) -> bool:
        """Return whether any message has no outcome yet."""
        return not self.queue.is_settled()

    def finish_drain(self, elapsed: float) -> None:
        """Deliver what waits, end the threads and report the rest; see `Drainable`.

        A report that another thread has begun is waited for, for as long as the grace lasts.
        """
        if self.called_from_delivery():
            self._has_tracked_here = True
            return
        before = self.queue.ledger.stats()
        log.debug("drain began; messages pending: %d", before.pending)
        try:
            if not self.join(self.exit_deadline(elapsed)):
                self._abandon()
                self._wait_for_reports(exit_state.grace())
            self._transport.close()
            self._tidy_spool()
        finally:
            after = self.queue.ledger.stats()
            delivered, failed = after.delivered - before.delivered, after.failed - before.failed
            log.debug("drain ended; delivered: %d, failed: %d", delivered, failed)

    def _tidy_spool(self) -> None:
        """Have the disk hold what is left, and delete the rest."""
        if self._spool:
            self.queue.drop_settled()
            self._spool.sync()
            self._spool.run.tidy()

    def finish_flush(self, elapsed: float) -> None:
        """Deliver what waits up to the exit timeout, of which `elapsed` seconds have passed."""
        if not self.flush(self.exit_deadline(elapsed)):
            self._wait_for_reports(REPORT_GRACE)

    def exit_deadline(self, elapsed: float) -> float:
        """Return when the exit gives up what is left, after `elapsed` seconds of its budget."""
        return self.queue.clock.deadline(self.config.exit_timeout - elapsed)

    def keep_for_exit(self) -> None:
        """Stay registered for the exit for as long as there is something to drain.

        Takes no lock: if a message comes in between, it is registered again.
        """
        if not self._has_work():
            unregister_at_exit(self)
        if self._has_work():
            register_at_exit(self)

    def _has_work(self) -> bool:
        return self.queue.workers.count > 0 or not self.queue.is_settled()

    def _put_when_full(self, message: bytes | Item) -> RejectionError | None:
        """Put a message in that was refused; return the reason if it is rejected.

        It may be so because nobody sends: no thread could be started, or one was killed.
        """
        self._find_consumers()
        return self.queue.put(message, self._room_deadline(), self._find_consumers)

    def _find_consumers(self) -> None:
        """Replace consumers that are missing, unless the queue is closed."""
        if not self.queue.closed and self._misses_consumers():
            self._start_consumers()

    def _ensure_sent(self) -> None:
        """Make sure that what was accepted is sent; once the exit has begun, before returning."""
        if self._misses_consumers():
            self._start_consumers()
        elif self.queue.closed:  # meanwhile: a shutdown may have seen nothing to wait for
            self.keep_for_exit()
        elapsed = exit_state.elapsed()
        if elapsed is None:
            return
        if exit_state.is_up_to_caller():
            self.finish_drain(elapsed)
        else:  # the thread that exits will see to what is left then
            self.flush(self.exit_deadline(elapsed) + REPORT_GRACE)

    def _misses_consumers(self) -> bool:
        """Return whether there are fewer consumers than there should be."""
        self.queue.find_dead()
        has_upkeep = not self._upkeep or self._upkeep.is_running()
        return self.queue.workers.count < self.config.thread or not has_upkeep

    def _is_unattended(self) -> bool:
        """Return whether there is something to send, and no consumer."""
        return not self.queue.workers.count and self.queue.needs_consumer()

    def _room_deadline(self) -> float | None:
        """Return until when a call waits for room in a full queue; None means not at all.

        A delivering thread must not wait for itself, nor a signal handler for what it interrupted.
        """
        if not (self.config.block_on_full and self._can_start):
            return None
        if self.queue.is_locked_by_caller() or self.called_from_delivery():
            return None
        return self.queue.clock.deadline(self.config.block_on_full)

    def _has_consumers(self) -> bool:
        """Start consumers; return whether they can be. They may have left already.

        False for a signal handler that interrupted the start: it cannot wait for it.
        """
        if self._is_starting_here():
            return False
        self._start_consumers()
        return self._can_start or self.queue.workers.count > 0

    def _is_starting_here(self) -> bool:
        """Return whether this call comes from a signal handler that interrupted the start."""
        return threading.get_ident() in self._starting_threads

    def _start_consumers(self) -> None:
        """Start the consumers that are not present.

        Not under the lock, because a start waits until the new thread runs, which wants the lock.
        """
        if is_importing_here():
            call_when_imported(self._start_consumers)
            return
        caller, handled = threading.get_ident(), being_handled()
        self.queue.find_dead()
        try:
            self._starting_threads.add(caller)
            self._log_fork()
            self._transport.prepare()
            for consumer in self.consumers:
                consumer.start()
            if self._upkeep:
                self._upkeep.start()
            self._can_start = True
        except (DeliveryError, RuntimeError) as error:  # mostly, the interpreter exits
            let_through(error, handled)
            could_start, self._can_start = self._can_start, False
            if could_start and threading.main_thread().is_alive():  # expected at the exit
                log.warning("no thread could be started: %s", error)
            if self._upkeep:
                self._upkeep.do_without_thread()
        finally:
            self._starting_threads.discard(caller)
            self.keep_for_exit()

    def _log_fork(self) -> None:
        """Log the reset of a fork, which its hook must not do itself."""
        left, self._left_to_parent = self._left_to_parent, None
        if left is not None:
            log.debug("reset after a fork; messages left to the parent: %d", left)

    def _consumer_left(self) -> None:
        if self._upkeep and not self.queue.workers.count:
            self._upkeep.adoption.leave()
        if self.queue.closed:
            self._transport.close()
            if not self.queue.workers.count:
                self._close_spool()
        self.keep_for_exit()

    def _abandon(self) -> None:
        """Report every message that has no outcome, and what `on_error` tracks meanwhile."""
        for rounds_left in reversed(range(MAX_ROUNDS)):
            self._has_tracked_here = False
            if not rounds_left:
                self.queue.close()
            left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]] = []
            try:
                self.queue.abandon(left_over)
            finally:  # what was claimed is reported, though Ctrl-C may have kept it from the rest
                self._report_left_over(left_over)
            if not self._has_tracked_here:
                break

    def tell_left(self) -> None:
        """Log how many messages stay in the spool, and where; see `Drainable`."""
        left, folder = self.queue.take_left()
        if left:
            log.info("messages: %d wait in %s", left, folder)

    def _tell_loss(self, error: SpoolCorruptError) -> None:
        self.report.failure(Failure(error, [], error.lost))

    def _wait_for_reports(self, seconds: float) -> None:
        """Wait until other threads have reported what they have claimed, or time is up."""
        self.queue.wait_for_reports(self.queue.clock.deadline(seconds))

    def _why_left(self, cause: SegmentError | None) -> str:
        """Return why messages are left over, if this is their last error."""
        return why(cause, self.destination)

    def _report_left_over(self, left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]]) -> None:
        try:
            messages = [message for _, unclaimed in left_over for message in unclaimed]
            cause = next((one.last_error for one, _ in left_over if one.last_error), None)
            what = "Ctrl-C ended the wait" if exit_state.was_cut_short else "time ran out"
            error = ShutdownTimeoutError(f"{what} before delivery; {self._why_left(cause)}")
            if messages:
                self.report.failure(Failure(error, messages))
        finally:
            for batch, unclaimed in left_over:
                self.queue.ledger.mark_failed(batch, len(unclaimed))
