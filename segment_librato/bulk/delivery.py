"""The delivery of a chunk: with retries, and split as far as it takes to find the rows to blame.

Owns which errors reject a row, and which end the import. Must not know threads, files or HTTP.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from segment_librato.bulk.report import ImportReport
from segment_librato.delivery.delivery import MAX_SPLITS, Delivery
from segment_librato.delivery.report import Reporter
from segment_librato.delivery.retry import SEGMENT, Decision
from segment_librato.errors import APIError, without_frames
from segment_librato.queue.in_flight import InFlightBatch
from segment_librato.queue.message_queue import MessageQueue

if TYPE_CHECKING:
    from segment_librato.bulk.allowance import Allowance
    from segment_librato.bulk.chunk import Chunk
    from segment_librato.bulk.pacing import Pacing
    from segment_librato.config.client import Config
    from segment_librato.errors import SegmentError
    from segment_librato.process.clock import Clock
    from segment_librato.queue.batch import Batch
    from segment_librato.queue.schedule import BatchRules
    from segment_librato.transport.base import Transport

__all__ = ["ChunkSender"]

ADVICE = (
    "if the rows are to blame, remove them, or allow them with --max-rejects (import_rows:"
    " max_rejects; Spark's data source: maxRejects)"
)


class ChunkSender:
    """Delivers chunks. Thread-safe."""

    def __init__(
        self,
        config: Config,
        rules: BatchRules,
        transport: Transport,
        pacing: Pacing,
        clock: Clock,
        allowance: Allowance | None = None,
    ) -> None:
        self._allowance = allowance
        self._config = config
        self._transport = transport
        self._report = Reporter(None)
        self._queue = _Queue(rules, pacing, clock)
        self._lock = threading.Lock()
        self._rejected_in_a_row = 0

    def deliver(self, chunk: Chunk) -> None:
        """Give each message of a chunk its outcome, or the chunk the reason why some have none."""
        if not chunk.messages:
            return
        batch = InFlightBatch(*chunk.messages)
        self._queue.admit(batch)
        parts = self._queue, self._transport, self._report, self._config, SEGMENT
        delivery = _Delivery(*parts, batch)
        delivery.chunk = chunk
        delivery.allowance = self._allowance
        try:
            delivery.run()
            count = self._count_in_a_row(delivery.rejected, batch.claimed)
            is_suspect = delivery.rejected > 0 and count > MAX_SPLITS and not chunk.failure
            if is_suspect and self._allowance is None:
                delivery.stop(f"to the last {count:,} rows, each by itself")
        finally:
            self._queue.ledger.drop(batch)
            is_void = chunk.failure is not None and delivery.rejected == batch.claimed
            chunk.settled = 0 if is_void else batch.claimed  # does it take any rows at all?

    def _count_in_a_row(self, rejected: int, settled: int) -> int:
        """Return how many rows the server has rejected since it accepted one, by whole chunks."""
        with self._lock:
            is_row_accepted = rejected < settled
            self._rejected_in_a_row = 0 if is_row_accepted else self._rejected_in_a_row + rejected
            return self._rejected_in_a_row


class _Delivery(Delivery):
    """The delivery of a chunk.

    Attributes:
        chunk: which one.
        allowance: how many rows may be rejected; None if nobody has said so.
        rejected: how many of its messages the server rejected, each by itself.
    """

    chunk: Chunk
    allowance: Allowance | None = None
    rejected: int = 0

    def _may_split(self, batch: Batch, splits: int) -> bool:
        """Look for each row that is to blame.

        If the server has accepted none so far at all, only as long as the first rows of an import
        may be rejected.
        """
        if self._queue.ledger.stats().delivered > 0 or self._is_allowed(self.rejected):
            return len(batch) > 1
        return super()._may_split(batch, splits)

    def _is_allowed(self, first: int) -> bool:
        """Return whether somebody has said that so many rows may be rejected before any other."""
        report = ImportReport(first, rejected=first)
        return self.allowance is not None and self.allowance.covers_so_far(report)

    def _fail(self, messages: tuple[bytes, ...], error: SegmentError) -> None:
        """Reject the one message that is to blame; anything else ends the import."""
        is_splittable = self._decide(error) is Decision.SPLIT
        self._error = error
        if not is_splittable:
            self._end(error)
            return
        if len(messages) > 1:
            self.stop("to every request")
            return
        self.rejected += 1
        self.chunk.reject(self.batch.claimed, without_frames(error))
        self._queue.ledger.claim(self.batch, 1)
        self._queue.ledger.mark_failed(self.batch, 1)

    def stop(self, whereto: str) -> None:
        """End the import: who rejects so many rows is a gateway, say, that takes none at all."""
        error = self._error
        text = f"{error} {whereto}; {ADVICE}"
        self._end(APIError(error.status or 0, error.code, error.message, None, text))

    def _end(self, error: SegmentError) -> None:
        """Keep the messages without an outcome so, and all others of the import."""
        self.chunk.failure = without_frames(error)
        self.batch.abandoned = True


class _Queue(MessageQueue):
    """What a delivery needs of a queue; nothing waits in it."""

    def __init__(self, rules: BatchRules, pacing: Pacing, clock: Clock) -> None:
        super().__init__(0, rules, clock=clock)
        self._pacing = pacing

    def pause(self, batch: InFlightBatch, deadline: float) -> bool:  # noqa: ARG002  all wait alike
        """Wait before a retry; return False as soon as the import ends."""
        return self._pacing.wait_until(deadline)
