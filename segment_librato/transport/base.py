"""The seam between delivery and the network: a batch goes in, a receipt comes out.

Must not know HTTP, queues or retries.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segment_librato.errors import SegmentError
    from segment_librato.queue.batch import Batch

__all__ = ["Receipt", "Transport"]

_NONE: Mapping[int, SegmentError] = {}


class Receipt(NamedTuple):
    """The result of a request that succeeded.

    Attributes:
        bytes_sent: the size of the request body, after compression.
        failed: the messages, by position in the batch, that were not delivered although the
            request succeeded, each with its error.
    """

    bytes_sent: int
    failed: Mapping[int, SegmentError] = _NONE


class Transport(Protocol):
    """Sends batches. Thread-safe."""

    @abstractmethod
    def send(self, batch: Batch, timeout: float | None) -> Receipt:
        """Send a batch once.

        Args:
            batch: what to send; it is not changed.
            timeout: seconds until the sender gives up, if that is before the transport does.

        Raises:
            SegmentError: the batch was not delivered; `bytes_sent` of the error says how many
                bytes it took to find out.
        """

    def close(self) -> None:
        """Close connections; called when nothing more will be sent, maybe more than once."""

    def reset_after_fork(self) -> None:
        """Leave connections to the parent, untouched, and start with none."""
