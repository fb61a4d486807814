"""The counters of a client and the equation that holds between them.

Must not know anything else of the library: the queue counts, under its lock.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["SpoolStats", "Stats"]


class SpoolStats(NamedTuple):
    """What the spool has on disk for one write key and host, and what a client found there.

    Attributes:
        bytes: Size of the files, those of other processes included.
        segments: Number of these files.
        adopted: Messages of dead processes that this client has delivered or handed to `on_error`.
            They do not count as `accepted`, `delivered`, `failed` or `pending`.
        recovered: Those of them that were delivered.
        quarantined: Parts of files that could not be read, and were moved to `quarantine/`.
        errors: How often a file could not be written or read.
    """

    bytes: int = 0
    segments: int = 0
    adopted: int = 0
    recovered: int = 0
    quarantined: int = 0
    errors: int = 0


class Stats(NamedTuple):
    """A snapshot, taken at one instant: `accepted == delivered + failed + pending`.

    Attributes:
        accepted: Messages accepted since the client was made or its process forked.
        delivered: Messages for which the server reported success.
        failed: Accepted messages that will not be delivered; `on_error` was called with them.
        rejected: Messages not accepted, because the queue was full, the client was shut down, or
            a hook raised.
        pending: Messages that are queued or in flight, or left on disk at a shutdown.
        retries: Requests that repeated an earlier one.
        requests: Requests made, including retries.
        bytes_sent: Bytes of request bodies, after compression; without those of interrupted
            requests.
        gauges: The same counters for measurements that are delivered directly; None without the
            option `gauges`. Measurements folded into one count as one.
        spool: What is on disk; None without the option `spool`.
        dropped: Messages that `before_send` or `sample_rate` left out; they were not accepted.
    """

    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    rejected: int = 0
    pending: int = 0
    retries: int = 0
    requests: int = 0
    bytes_sent: int = 0
    gauges: Stats | None = None
    spool: SpoolStats | None = None
    dropped: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether nothing is pending, in either pipeline."""
        return not self.pending and (self.gauges is None or not self.gauges.pending)
