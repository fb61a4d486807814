"""What the local server has received: requests, accepted messages, drops and duplicates.

Must not know sockets, rules or locks: the server calls it with its state locked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from segment_librato.devserver.exchange import Dropped, JsonObject, Request

__all__ = ["Inbox"]


class Inbox:
    """Everything received since the start, or the last `clear`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.messages: list[JsonObject] = []
        self.dropped: list[Dropped] = []
        self.duplicates = 0
        self._message_ids: set[str] = set()

    def accept(self, messages: Iterable[JsonObject]) -> tuple[JsonObject, ...]:
        """Keep the messages whose messageId is new or missing, and return these."""
        accepted = tuple(message for message in messages if self._is_new(message))
        self.messages += accepted
        return accepted

    def count(self) -> dict[str, int]:
        """Count what is here."""
        return {
            "requests": len(self.requests),
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
        return True
