"""What the local server has received for Segment: accepted messages, drops and duplicates.

Must not know sockets, rules or locks: the server calls it while it holds its own.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segment_librato.devserver.http.exchange import JsonObject
    from segment_librato.devserver.segment.api import Dropped, SegmentVerdict

__all__ = ["SegmentStore"]

LIMITED_IDS = 100_000


class SegmentStore:
    """What was received since the start, or the last `clear`."""

    def __init__(self, limit: int | None = None) -> None:
        """Make an empty store.

        Args:
            limit: how many messages of each kind are kept, the newest; None: all. `LIMITED_IDS`
                messageIds are kept then.
        """
        self._limit = limit
        self.clear()

    def clear(self) -> None:
        """Forget everything, messageIds included."""
        self.messages: deque[JsonObject] = deque(maxlen=self._limit)
        self.dropped: deque[Dropped] = deque(maxlen=self._limit)
        self.duplicates: int = 0
        self._message_ids: set[str] = set()
        self._oldest_ids: deque[str] = deque()  # with a limit only

    def settle(self, verdict: SegmentVerdict) -> SegmentVerdict:
        """Return the verdict as it is: the response never depends on what is kept."""
        return verdict

    def accept(self, verdict: SegmentVerdict) -> tuple[JsonObject, ...]:
        """Keep the messages whose messageId is new or missing, and return these."""
        accepted = tuple(message for message in verdict.kept if self._is_new(message))
        self.messages += accepted
        self.dropped += verdict.dropped
        return accepted

    def count(self) -> dict[str, int]:
        """Return the number of each kind."""
        return {
            "messages": len(self.messages),
            "duplicates": self.duplicates,
            "dropped": len(self.dropped),
        }

    def _is_new(self, message: JsonObject) -> bool:
        message_id = message.get("messageId")
        if not message_id:
            return True
        if message_id in self._message_ids:
            self.duplicates += 1
            return False
        self._message_ids.add(message_id)
        if self._limit is not None:
            self._oldest_ids.append(message_id)
            if len(self._oldest_ids) > LIMITED_IDS:
                self._message_ids.discard(self._oldest_ids.popleft())
        return True
