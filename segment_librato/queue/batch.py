"""A batch: messages that travel in one request, and how many of them fit.

The limits are those of Segment's HTTP API: 500 KB a request body, envelope and commas
included, and 2,500 messages. Over either the API may answer 200 and drop the lot, so a batch
that is taken from the queue by `BatchRules` never is. Knows nothing of the network.
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from segment_librato.errors import SegmentError

__all__ = ["MAX_BATCH_MESSAGES", "Batch", "BatchRules", "room_for_messages"]

MAX_BATCH_BYTES = 500_000
MAX_BATCH_MESSAGES = 2_500
SENT_AT_EXAMPLE = "2026-11-20T21:17:00.000+00:00"


class BatchRules(NamedTuple):
    """When a batch leaves, and how large it may be.

    Attributes:
        trigger: so many messages waiting make a batch leave.
        max_messages: at most so many messages travel together.
        max_bytes: at most so many bytes of messages, each with its comma, travel together.
        interval: seconds after which a batch leaves however small it is.
    """

    trigger: int
    max_messages: int
    max_bytes: int
    interval: float


class Batch:
    """Encoded messages that are sent together, again and again if need be.

    Attributes:
        messages: each one's JSON.
        retries: how often it was sent before.
        timeout: seconds until the sender gives up, if that is before the transport does.
        bytes_sent: the size of the bodies it was sent in; the transport adds to it.
        refused: the messages, by position, that were not delivered though `send` succeeded, with
            the reasons; the transport sets it.
    """

    def __init__(self, messages: tuple[bytes, ...], retries: int = 0) -> None:
        self.messages = messages
        self.retries = retries
        self.timeout: float | None = None
        self.bytes_sent = 0
        self.refused: Mapping[int, SegmentError] = {}

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self.messages)

    def halves(self) -> tuple[Batch, Batch]:
        """Split it in two, in order."""
        middle = len(self.messages) // 2
        return Batch(self.messages[:middle]), Batch(self.messages[middle:])

    def refuse_rest(self, error: SegmentError) -> None:
        """Count the messages that are not refused as refused for this reason."""
        self.refused = {at: self.refused.get(at, error) for at in range(len(self))}

    def outcomes(self) -> Iterator[tuple[SegmentError | None, tuple[bytes, ...]]]:
        """Yield the messages in order, as runs that share an outcome: refused, or None."""
        if not self.refused:
            yield None, self.messages
            return
        first = 0
        for error, run in groupby(map(self.refused.get, range(len(self)))):
            end = first + len(list(run))
            yield error, self.messages[first:end]
            first = end

    def body(self, write_key: str, sent_at: str) -> bytes:
        """Return the request body that the Segment API takes."""
        envelope = json.dumps({"sentAt": sent_at, "writeKey": write_key}, separators=(",", ":"))
        return b'{"batch":[' + b",".join(self.messages) + b"]," + envelope[1:].encode()


def room_for_messages(write_key: str) -> int:
    """Return how many bytes of messages and commas one request body has room for."""
    one_comma_too_many = 1
    empty = Batch(()).body(write_key, SENT_AT_EXAMPLE)
    return MAX_BATCH_BYTES - len(empty) + one_comma_too_many
