"""A clock for tests in which the pauses before retries pass at once."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from segment_librato import Client
from segment_librato.process.clock import Clock

if TYPE_CHECKING:
    from segment_librato.process.clock import Waitable
    from segment_librato.queue.message_queue import MessageQueue

__all__ = ["HastyClock", "hasty_client"]

MOMENT = 0.001  # real seconds in which others, whose time it is, can go on


class HastyClock(Clock):
    """Real time, but for the pauses of those who deliver: it leaps to their end.

    Or to the deadline of somebody else, if that comes first. For one queue with one consumer.

    Attributes:
        skipped: the seconds that it has leapt over.
        is_patient: whether it leaps only while somebody else waits for a deadline.
    """

    queue: MessageQueue

    def __init__(self) -> None:
        self.skipped = 0.0
        self.is_patient = False
        self._deadlines: list[float] = []

    def now(self) -> float:
        return time.monotonic() + self.skipped

    def wait(self, changed: Waitable, deadline: float | None) -> bool:
        if deadline is None:
            return changed.wait()
        if self.queue.ledger.called_from_delivery():
            assert isinstance(changed, threading.Condition)
            return self._pause(changed, deadline)
        self._deadlines.append(deadline)
        try:
            return super().wait(changed, deadline)
        finally:
            self._deadlines.remove(deadline)

    def _pause(self, changed: threading.Condition, deadline: float) -> bool:
        if self._deadlines or not self.is_patient:
            first = min([deadline, *self._deadlines])
            self.skipped += max(0, first - self.now())
        changed.notify_all()
        changed.wait(MOMENT)
        return self.now() < deadline


def hasty_client(write_key: str, **options: Any) -> tuple[Client, HastyClock]:
    """Make a client with such a clock."""
    clock = HastyClock()
    client = type("HastyClient", (Client,), {"_clock": clock})(write_key, **options)
    clock.queue = client.queue
    return client, clock
