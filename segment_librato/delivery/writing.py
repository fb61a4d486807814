"""A pipeline that ends at the disk: another process, or a later one, delivers what it writes.

It has no thread, makes no request, and imports nothing that does. Owns what flush, join, shutdown
and the exit mean then. Must not know what a message says, or files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.delivery.pipeline import Pipeline
from segment_librato.process.exit import register_at_exit
from segment_librato.queue.message_queue import REFUSED

if TYPE_CHECKING:
    from segment_librato.errors import SegmentError
    from segment_librato.queue.schedule import Item
    from segment_librato.queue.spooled_queue import SpooledQueue

__all__ = ["WritingPipeline"]


class WritingPipeline(Pipeline):
    """Writes messages, and nothing else. Thread-safe."""

    queue: SpooledQueue

    def accept(self, message: bytes | Item) -> bool:
        """Write a message; return whether it was accepted. See `Pipeline.accept`.

        If the disk had trouble, messages wait in memory: calls write them, too, when it works
        again, each of them a batch at most, as far as there is room.
        """
        queue = self.queue
        if queue.is_unserved:
            self.hook_in()
            register_at_exit(self)
            queue.is_unserved = False  # not before: a signal handler may raise
        if queue.unwritten.messages and not (queue.closed or queue.spool.is_resting):
            queue.unwritten.write(queue.rules.max_messages)
        if queue.offer(message) is REFUSED and (rejection := queue.put(message)):
            self.report.rejection(rejection, bytes(message))
            return False
        if queue.unwritten.messages and queue.closed:  # a shutdown may have seen nothing
            self.keep_for_exit()
        return True

    def flush(self, deadline: float | None) -> bool:  # noqa: ARG002  it does not wait for a server
        """Have the disk hold all that was accepted; return whether it does."""
        return self.begin_flush()[1]

    def begin_flush(self) -> tuple[int, bool]:
        """Do the same at once. See `Pipeline.begin_flush`."""
        has_written = self.queue.write_what_waits()
        return 0, self.queue.spool.sync() and has_written

    def is_settled(self, mark: int) -> bool:  # noqa: ARG002  the same for all
        """Return whether all is written; `begin_flush` has told whether the disk holds it."""
        return not self.queue.waits_in_memory()

    def join(self, deadline: float | None) -> bool:
        """Flush: there is no thread to stop."""
        return self.flush(deadline)

    def send_at_once(self) -> None:
        """Do nothing: nothing is sent."""

    def finish_drain(self, elapsed: float) -> None:  # noqa: ARG002  it takes no time
        """Have the disk hold what it can, and report the rest; see `Drainable`."""
        self.flush(None)
        self._abandon()
        self._tidy_spool()

    def _why_left(self, cause: SegmentError | None) -> str:  # noqa: ARG002  nothing was sent
        return "the disk did not take them"

    def finish_flush(self, elapsed: float) -> None:  # noqa: ARG002  it takes no time
        """Have the disk hold what was accepted."""
        self.flush(None)
