"""The counters of a client and the equation that holds between them.

Knows nothing else of the library: the queue counts, under its lock.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Stats"]


class Stats(NamedTuple):
    """A snapshot, taken at one instant: `accepted == delivered + failed + pending`.

    Attributes:
        accepted: messages taken in, since the client was made or its process forked.
        delivered: messages the server answered for with success.
        failed: accepted messages that `on_error` was told will not be delivered.
        rejected: messages not taken in, because the queue was full or the client closed.
        pending: messages that wait or are under way.
        retries: requests that repeated an earlier one.
        requests: requests made, retries included.
        bytes_sent: bytes of request bodies, after compression.
        gauges: the same for the measurements that are delivered directly, if any are; those
            that were folded into one count as one.
    """

    accepted: int
    delivered: int
    failed: int
    rejected: int
    pending: int
    retries: int
    requests: int
    bytes_sent: int
    gauges: Stats | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing is pending, in either pipeline."""
        return not self.pending and (self.gauges is None or not self.gauges.pending)
