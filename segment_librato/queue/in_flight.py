"""A batch in flight: messages that are being delivered, and how far that has come.

Whoever delivers holds the batch, and settles its messages in order, from the front. Must not know
what a message means, or who counts outcomes: that is the ledger.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Protocol

    from segment_librato.errors import SegmentError

    class Report(Protocol):
        """The report of messages that failed."""

        was_reported: bool


__all__ = ["InFlightBatch"]


class InFlightBatch:
    """Messages that are being delivered, held by the thread that made this object.

    Attributes:
        messages: the JSON of each, or what stands for it: its `bytes` are the JSON then.
        first: how many messages were in flight before these.
        claimed: how many of them, from the front, have an outcome.
        settled: how many of them are counted as delivered or failed.
        abandoned: whether the holder may claim no more.
        last_error: what kept them from being delivered so far.
        thread_id: of the holder.
        thread: of the holder, if that is a consumer.
        is_orphan: whether the holder is gone, and another consumer may adopt what it has left.
        report: of the messages that were claimed last.
        arrived: how many of those that are claimed and not settled were delivered.
        turns: how often it was set aside.
        retry_at: when it is due again, if it is set aside, by the clock of its queue.
    """

    __slots__ = (
        "abandoned",
        "arrived",
        "claimed",
        "first",
        "is_orphan",
        "last_error",
        "messages",
        "report",
        "retry_at",
        "settled",
        "thread",
        "thread_id",
        "turns",
    )

    def __init__(self, *messages: Any) -> None:  # noqa: ANN401  of bytes and of `Item`
        self.messages: list[Any] = list(messages)
        self.first: int = 0
        self.claimed: int = 0
        self.settled: int = 0
        self.abandoned: bool = False
        self.last_error: SegmentError | None = None
        self.thread_id: int = threading.get_ident()
        self.thread: threading.Thread | None = None
        self.is_orphan: bool = False
        self.report: Report | None = None
        self.arrived: int = 0
        self.turns: int = 0
        self.retry_at: float | None = None

    @property
    def unclaimed(self) -> tuple[bytes, ...]:
        """The messages that have no outcome yet."""
        return tuple(map(bytes, self.messages[self.claimed :]))

    @property
    def is_being_reported(self) -> bool:
        """Whether a thread has claimed messages and is still reporting them."""
        return self.claimed > self.settled

    @property
    def is_claimed(self) -> bool:
        """Whether all messages have an outcome."""
        return self.claimed == len(self.messages)
