"""The way of a message once it is queued: consumers, transport, report.

Owns when consumers are started and stopped, and what flush, join, shutdown, exit and fork mean
for them. Knows nothing of what a message says, or of HTTP.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

from segment_librato.delivery.consumer import Consumer
from segment_librato.delivery.report import Failure
from segment_librato.errors import DeliveryError, ShutdownTimeoutError
from segment_librato.log import log
from segment_librato.process import exit as lifecycle
from segment_librato.process.locks import locked
from segment_librato.queue.ledger import Lease
from segment_librato.queue.message_queue import NEVER
from segment_librato.transport.lazy import DeferredTransport, is_importing_here, when_imported

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.config.client import Config
    from segment_librato.delivery.consumer import Transport
    from segment_librato.delivery.report import Reporter
    from segment_librato.gauge_delivery.aggregate import MultiSample
    from segment_librato.queue.message_queue import MessageQueue

__all__ = ["Pipeline"]


class Pipeline:
    """Consumers for a queue. Thread-safe.

    It outlives the client that made it for as long as it has something to deliver.
    """

    def __init__(
        self,
        config: Config,
        queue: MessageQueue,
        make_transport: Callable[[], Transport],
        report: Reporter,
    ) -> None:
        self._config = config
        self._queue = queue
        self._transport = DeferredTransport(make_transport)
        self._report = report
        self.consumers = [
            Consumer(queue, self._transport, report, config, self._keep_for_exit)
            for _ in range(config.thread)
        ]
        self._starting_threads: set[int] = set()
        self._can_start = True
        # With so many consumers a call has nothing to do but put its message in.
        is_unusual = config.sync_mode or config.block_on_full > 0
        self._usual_workers = NEVER if is_unusual else config.thread
        lifecycle.renew_in_child(self)

    def reset_after_fork(self) -> None:
        """Leave to the parent what waits here or is under way, and its connections."""
        self._queue.account.disown()
        self._queue.reset()
        self._starting_threads = set()
        self._transport.reset_after_fork()

    def accept(self, message: bytes | MultiSample) -> bool:
        """Take a message in, to be sent in the background or, in sync mode, at once.

        Returns whether it was accepted and, in sync mode, delivered. If not, it was reported.
        """
        queue, deadline = self._queue, None
        if queue.workers < self._usual_workers:
            if self._config.sync_mode:
                return self._send_now(bytes(message))
            if not queue.workers and not queue.closed:
                lifecycle.drain_at_exit(self)
            deadline = self._room_deadline()
        # only a GaugeQueue is given samples
        rejection = queue.put(message, deadline)  # type: ignore[arg-type]
        if rejection:
            self._report.rejection(rejection, bytes(message))
            return False
        if queue.workers < self._usual_workers or lifecycle.process.exit_began is not None:
            self._have_it_sent()
        return True

    def _have_it_sent(self) -> None:
        """See to it that there is somebody who sends what was accepted."""
        if self._queue.workers < self._config.thread:
            self._start_consumers()
        elapsed = lifecycle.exit_elapsed()
        if elapsed is not None:
            self.finish_drain(elapsed)

    def _room_deadline(self) -> float | None:
        """Return until when a call waits for room in a full queue; None is not at all.

        Who delivers must not wait for himself, nor a signal handler for what it interrupted.
        """
        if not (self._config.block_on_full and self._can_start):
            return None
        if self._queue.is_locked_by_caller() or self.is_held_by_caller():
            return None
        return self._queue.clock.deadline(self._config.block_on_full)

    def _send_now(self, message: bytes) -> bool:
        consumer = self.consumers[0]
        lease = Lease(message)
        lifecycle.drain_at_exit(self)
        try:
            rejection = self._queue.admit(lease)
            if rejection:
                self._report.rejection(rejection, message)
                return False
            return consumer.deliver(lease, self._exit_deadline()) is None
        except BaseException as interruption:
            consumer.give_up(lease, interruption)
            raise
        finally:
            self._keep_for_exit()

    def _exit_deadline(self) -> float | None:
        """Return until when the exit waits, if it has begun; None before."""
        elapsed = lifecycle.exit_elapsed()
        if elapsed is None:
            return None
        return self._queue.clock.deadline(self._config.exit_timeout - elapsed)

    def flush(self, deadline: float | None) -> bool:
        """Send all that was accepted so far; return whether all of it has an outcome in time.

        Deadlines are times of the queue's clock; None is none.
        """
        if self.is_held_by_caller():
            return False
        mark, is_served = self.begin_flush()
        if not is_served:
            self.consumers[0].drain(deadline)
            self._keep_for_exit()
        return self._queue.wait_until_settled(mark, deadline)

    def begin_flush(self) -> tuple[int, bool]:
        """Send all that was accepted so far, without waiting.

        Returns the mark for `is_settled`, and whether there is somebody to send what waits.
        """
        mark = self._queue.flush()
        return mark, self._queue.empty() or self._are_there_consumers()

    def is_settled(self, mark: int) -> bool:
        """Return whether all that was accepted before the mark has an outcome."""
        return self._queue.wait_until_settled(mark, -math.inf)

    def is_deserted(self) -> bool:
        """Return whether no consumer is there."""
        return not self._queue.workers

    def join(self, deadline: float | None) -> bool:
        """Flush and stop the threads; the next message starts them again."""
        settled = self.flush(deadline)
        if settled and not self._is_starting_here():
            threads = [one.thread for one in self.consumers if one.thread and one.is_alive()]
            self._queue.drain()
            # a thread takes the lock once more at its end
            if self._queue.wait_until_deserted(deadline) and not self._queue.is_locked_by_caller():
                clock = self._queue.clock
                for thread in threads:
                    thread.join(None if deadline is None else max(0, deadline - clock.now()))
        return settled

    def shutdown(self, deadline: float | None) -> bool:
        """Take no more in, flush, stop; what is left at the deadline goes to `on_error`."""
        self._queue.close()
        if self.is_held_by_caller():
            return False
        settled = self.join(deadline)
        self._abandon()
        self._transport.close()
        lifecycle.forget(self)
        return settled

    def is_held_by_caller(self) -> bool:
        """Return whether the calling thread delivers, as `on_error` does, and must not wait.

        Nor must a signal handler that came in the middle of the imports.
        """
        return is_importing_here() or self._queue.account.is_held_by_caller()

    def send_at_once(self) -> None:
        """Let all that waits leave at once; do not wait for it."""
        self._queue.flush()

    def finish_drain(self, elapsed: float) -> None:
        """Deliver what waits up to the exit timeout, end the threads, report the rest.

        Args:
            elapsed: so many seconds of the timeout are over.
        """
        if not self.is_held_by_caller():
            if not self.join(self._queue.clock.deadline(self._config.exit_timeout - elapsed)):
                self._abandon()
            self._transport.close()

    def finish_flush(self, elapsed: float) -> None:
        """Deliver what waits up to the exit timeout, of which so many seconds are over."""
        self.flush(self._queue.clock.deadline(self._config.exit_timeout - elapsed))

    def _are_there_consumers(self) -> bool:
        """Return whether somebody sends what waits, after an attempt to start them."""
        if self._is_starting_here():
            return False
        self._start_consumers()
        return self._queue.workers > 0

    def _is_starting_here(self) -> bool:
        """Return whether a signal handler came in between, so that the start waits for it."""
        return threading.get_ident() in self._starting_threads

    def _start_consumers(self) -> None:
        """Start the consumers that are not there.

        Not under the lock, because a start waits until the new thread runs, which wants the lock.
        (A lock made before gevent patched is no obstacle to a greenlet: it would let go of ours.)
        """
        if is_importing_here():
            when_imported(self._start_consumers)
            return
        try:
            self._starting_threads.add(threading.get_ident())
            self._transport.prepare()
            for consumer in self.consumers:
                consumer.start()
            self._can_start = True
        except (DeliveryError, RuntimeError) as error:  # the interpreter exits, mostly
            could_start, self._can_start = self._can_start, False
            if could_start and threading.main_thread().is_alive():  # at the exit it is no news
                log.warning("no thread could be started: %s", error)
        finally:
            self._starting_threads.discard(threading.get_ident())
            self._keep_for_exit()

    @property
    def lock(self) -> threading.RLock:
        """The queue's, so that a signal handler cannot take two locks in the wrong order."""
        return self._queue.lock

    @locked
    def _keep_for_exit(self) -> None:
        """Be drained at the exit, unless there is nothing to drain."""
        if self._queue.workers or not self._queue.is_settled():
            lifecycle.drain_at_exit(self)
        else:
            lifecycle.forget(self)

    def _abandon(self) -> None:
        """Report all that has no outcome as left over."""
        left_over: list[tuple[Lease, tuple[bytes, ...]]] = []
        try:
            self._queue.abandon(left_over)
        finally:  # what was claimed is reported, though Ctrl-C may have kept it from the rest
            self._report_left_over(left_over)

    def _report_left_over(self, left_over: list[tuple[Lease, tuple[bytes, ...]]]) -> None:
        try:
            messages = [message for _, unclaimed in left_over for message in unclaimed]
            causes = [f"; {lease.last_error}" for lease, _ in left_over if lease.last_error]
            error = ShutdownTimeoutError("".join(["time ran out before delivery", *causes[:1]]))
            if messages:
                self._report.failure(Failure(error, messages))
        finally:
            for lease, unclaimed in left_over:
                self._queue.account.fail(lease, len(unclaimed))
