"""Messages that are on disk as well, and the ledger that tells their files of their outcome.

Owns which file a message is in. Must not know how files are written or read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segment_librato.queue.ledger import InFlightBatch, Ledger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from segment_librato.process.locks import SignalSafeCondition
    from segment_librato.spooling.segment import Segment

__all__ = ["SpooledLedger", "SpooledMessage", "delete_settled"]


class SpooledMessage:
    """A message that is in a segment, too; its place there is not known."""

    __slots__ = ("data", "segment")

    def __init__(self, data: bytes, segment: Segment) -> None:
        """Make the entry of a queue.

        Args:
            data: its JSON.
            segment: has it, until `settle`.
        """
        self.data = data
        self.segment = segment

    def __len__(self) -> int:
        """Return how many bytes it is."""
        return len(self.data)

    def __bytes__(self) -> bytes:
        """Return its JSON."""
        return self.data

    @property
    def segments(self) -> Iterable[Segment]:
        """What has to be told of its outcome."""
        return (self.segment,)


class SpooledLedger(Ledger):
    """A ledger whose batches may have a `SpooledMessage` in the place of bytes.

    An outcome is counted in the segment of its message, under the lock. A segment whose messages
    all have one can be deleted: by `delete_settled`, without the lock.
    """

    def __init__(self, changed: SignalSafeCondition, waiting: Collection[object]) -> None:
        super().__init__(changed, waiting)
        self.freeze = _freeze

    def _settle(self, batch: InFlightBatch, outcome: str, count: int, claimed: int = 0) -> None:
        first = batch.settled
        super()._settle(batch, outcome, count, claimed)
        if outcome == "left":
            return
        for message in batch.messages[first : first + count]:
            for segment in getattr(message, "segments", ()):
                segment.settled += 1


def delete_settled(messages: Iterable[Any]) -> None:
    """Delete the segments of these messages in which all have their outcome. Does I/O."""
    segments = {segment for message in messages for segment in getattr(message, "segments", ())}
    for segment in segments:
        segment.delete_if_settled()


def _freeze(message: Any) -> Any:  # noqa: ANN401  bytes or an `Item`
    """Return what a batch has of an entry of the queue: bytes, or what has `segments`."""
    return message if hasattr(message, "segments") else bytes(message)
