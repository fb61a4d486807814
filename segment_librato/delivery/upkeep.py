"""What a pipeline does for its spool beside delivering what was accepted.

The disk is asked to hold what calls have written, the oldest messages make room, and what dead
processes left is adopted. Owns the keeper, which is the thread for the first two, and the adoption,
which consumers run. Must not know what a message says, or when consumers start and stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.delivery.adoption import Adoption
from segment_librato.delivery.keeper import Keeper
from segment_librato.errors import SpoolFullError
from segment_librato.process.frameworks import fsync_beside_greenlets
from segment_librato.queue.in_flight import InFlightBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.config.client import Config
    from segment_librato.delivery.delivery import Delivery
    from segment_librato.delivery.report import Reporter
    from segment_librato.delivery.retry import RetryTable
    from segment_librato.queue.message_queue import MessageQueue
    from segment_librato.spooling.spool import Spool
    from segment_librato.transport.base import Transport

__all__ = ["Upkeep"]

SECONDS_TO_MAKE_ROOM = 0.1  # after which somebody makes room in a spool that nobody syncs


class Upkeep:
    """The upkeep of the spool of a queue that is delivered. Thread-safe.

    Attributes:
        adoption: delivers what dead processes left.
    """

    def __init__(
        self,
        queue: MessageQueue,
        spool: Spool,
        transport: Transport,
        report: Reporter,
        config: Config,
        table: RetryTable,
        begin: Callable[[InFlightBatch], Delivery],
    ) -> None:
        """Do nothing yet.

        Args:
            queue: of which the spool is.
            spool: what is looked after.
            transport: sends what dead processes left.
            report: tells what becomes of it.
            config: of the client.
            table: says which errors are worth another try.
            begin: makes the delivery of a batch of the queue.
        """
        self.adoption: Adoption = Adoption(queue, spool, transport, report, config, table)
        self._queue = queue
        self._spool = spool
        self._begin = begin
        self._needs_keeper = bool(spool.config.fsync or spool.drops_oldest)
        seconds = spool.config.fsync or SECONDS_TO_MAKE_ROOM
        self._keeper = Keeper(self._keep, self.make_room, seconds, queue.clock)
        if self._needs_keeper:
            spool.run.on_dirty, spool.on_excess = self._wake_keeper, self._keeper.hurry

    def reset_after_fork(self) -> None:
        """Leave to the parent what it looks after."""
        self._keeper.reset()
        self.adoption.reset_after_fork()

    def start(self) -> None:
        """Start the keeper, if there is need of one and it does not run.

        Raises:
            RuntimeError: no thread can be started.
        """
        if self._needs_keeper:
            self._keeper.start()
            self._spool.run.on_dirty = self._wake_keeper

    def do_without_thread(self) -> None:
        """Have calls ask the disk to hold what they write until the keeper starts, unless it runs.

        It may do so though another thread cannot be started, or be started by another thread.
        """
        if self._needs_keeper:
            self._spool.run.on_dirty = self._spool.sync_when_due
            if self._keeper.is_running():  # not asked before: another thread may be in `start`
                self._spool.run.on_dirty = self._wake_keeper
                self._keeper.wake()
            else:
                self._spool.sync_when_due()

    def is_running(self) -> bool:
        """Return whether the keeper runs, if there is need of one. Takes no lock."""
        return not self._needs_keeper or self._keeper.is_running()

    def runs_caller(self) -> bool:
        """Return whether the calling thread is the keeper."""
        return self._keeper.runs_caller()

    def stop(self) -> None:
        """End the keeper. Takes no lock, and does not wait."""
        self._keeper.stop()

    def join(self, timeout: float) -> None:
        """Wait until the keeper, which was told to, has ended."""
        self._keeper.join(timeout)

    def _wake_keeper(self) -> None:
        """Have the disk hold what a call writes, soon."""
        self._keeper.wake()
        if not self._keeper.is_running():  # this call, or the next, starts it
            self._queue.is_unserved = self._spool.run.is_clean = True

    def _keep(self) -> None:
        """Have the disk hold what was written; if there is too much, fail the oldest messages."""
        if not self._spool.sync(fsync_beside_greenlets):
            self._keeper.wake()  # try again
        if self._spool.drops_oldest:
            self.make_room()
        else:
            self._spool.keep_measured()

    def make_room(self) -> None:
        """Fail the oldest messages until there is not too much; on the keeper's thread."""
        spool, keeper = self._spool, self._keeper
        spool.measure()  # what is written meanwhile, and may not be counted, wakes the keeper
        # What dead processes left is older.
        if spool.excess() and not self.adoption.make_room():
            keeper.wake()  # it is being delivered: look again
            return
        while spool.excess():
            delivery = self._begin(InFlightBatch())
            try:
                if not self._queue.take_oldest(delivery.batch):
                    keeper.wake()  # all of it is being sent, or read: look again
                    break
                delivery.fail(SpoolFullError("the spool was full, and these were the oldest"))
            except BaseException as interruption:
                delivery.give_up(interruption)
                raise
            spool.run.retire()
            spool.measure()
