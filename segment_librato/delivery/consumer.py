"""The background worker: takes batches from the queue, and has each delivered.

Owns the thread: a consumer has one rather than being one, so that it can be started on the first
message and again when needed, in a forked child for example. Must not know how a batch is
delivered.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from segment_librato.log import log
from segment_librato.process.frameworks import ends_greenlet
from segment_librato.queue.in_flight import InFlightBatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from segment_librato.delivery.delivery import Delivery
    from segment_librato.queue.message_queue import MessageQueue

    class Adoption(Protocol):
        """What a consumer does when it has nothing else to do."""

        def run(self) -> None:
            """Do a part of it."""


__all__ = ["Consumer"]


class Consumer:
    """Delivers what a queue holds, one request at a time."""

    def __init__(
        self,
        queue: MessageQueue,
        begin: Callable[[InFlightBatch], Delivery],
        on_leave: Callable[[], None],
        adoption: Adoption | None = None,
    ) -> None:
        """Make a consumer without a thread.

        Args:
            queue: what it takes from.
            begin: makes the delivery of a batch.
            on_leave: called on its thread when that ends.
            adoption: what it does when the queue hands out an empty batch.
        """
        self._queue = queue
        self._begin = begin
        self._on_leave = on_leave
        self._adoption = adoption
        self.thread: threading.Thread | None = None

    def is_alive(self) -> bool:
        """Return whether its thread runs; it does from the first message on."""
        return self.thread is not None and self.thread.is_alive()

    def runs_caller(self) -> bool:
        """Return whether the calling thread is the one of this consumer."""
        thread = self.thread
        return thread is not None and thread.is_alive() and thread.ident == threading.get_ident()

    def start(self) -> None:
        """Start the thread, unless the consumer is present already.

        Raises:
            RuntimeError: no thread can be started, as late in the interpreter's exit.
        """
        if sys.is_finalizing():  # it would never run, and `start` would wait forever
            raise RuntimeError("the interpreter exits")
        thread = threading.Thread(target=self._run, name="segment-consumer", daemon=True)
        try:
            if self._queue.register_worker(self, thread):
                self.thread = thread
                thread.start()
        except BaseException:
            if thread.ident is None:
                self._queue.unregister_worker(self, thread)
            raise

    def drain(self, deadline: float | None) -> None:
        """Deliver on the calling thread until nothing waits, or until the deadline."""
        while deadline is None or self._queue.clock.now() < deadline:
            delivery = self._begin(InFlightBatch())
            try:
                if not self._queue.take_now(delivery.batch):
                    return
                delivery.run(deadline)
            except BaseException as interruption:
                delivery.give_up(interruption)
                raise

    def _run(self) -> None:
        thread, queue = threading.current_thread(), self._queue
        # If Ctrl-C ended the call that started it, it is not registered any more.
        if not (queue.workers.is_run_by(self, thread) or queue.register_worker(self, thread)):
            return
        try:
            log.debug("consumer started")
            self._work(thread)
            log.debug("consumer stopped")
        except BaseException as interruption:
            queue.lose_worker(self, thread)
            if not ends_greenlet(interruption):
                raise
            log.debug("consumer stopped by %s", type(interruption).__name__)

    def _work(self, thread: threading.Thread) -> None:
        ledger = self._queue.ledger  # a forked child, where gevent continues this, has another
        while self._queue.ledger is ledger:
            delivery = self._begin(InFlightBatch())
            delivery.batch.thread = thread
            is_taken = False
            try:
                if not self._queue.take(self, delivery.batch):
                    break
                is_taken = True
                if delivery.batch.messages:
                    delivery.run()
                elif self._adoption:
                    self._adoption.run()
            except BaseException as interruption:
                if not is_taken or ends_greenlet(interruption):
                    raise
                log.warning("the consumer continues after %s", type(interruption).__name__)
                delivery.give_up(interruption)
        self._on_leave()
