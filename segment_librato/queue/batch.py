"""A batch: encoded messages that travel in one request.

Owns how it is split, and which of its messages share an outcome. Must not know the network.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from segment_librato.errors import SegmentError

__all__ = ["Batch"]


class Batch:
    """Messages that are sent together, again if need be.

    Attributes:
        messages: the JSON of each.
        retries: number of requests that were made with it before.
    """

    def __init__(self, messages: tuple[bytes, ...], retries: int = 0) -> None:
        self.messages = messages
        self.retries = retries

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self.messages)

    def halves(self) -> tuple[Batch, Batch]:
        """Split it in two, in order."""
        middle = len(self.messages) // 2
        return Batch(self.messages[:middle]), Batch(self.messages[middle:])

    def outcomes(
        self, failed: Mapping[int, SegmentError]
    ) -> Iterator[tuple[SegmentError | None, tuple[bytes, ...]]]:
        """Yield the messages in order, as runs that share an outcome.

        Args:
            failed: the error of each message that was not delivered, by position.
        """
        if not failed:
            yield None, self.messages
            return
        first = 0
        for error, run in groupby(map(failed.get, range(len(self)))):
            end = first + len(list(run))
            yield error, self.messages[first:end]
            first = end
