"""The rules for one message: what makes the API reject it, and what makes it drop it.

Pure. Must not know requests, keys or how a batch is wrapped.

The rules are those of Segment's documentation ("HTTP API source", "Spec: Common fields"). Where
it does not say how a size is counted, these are the strictest readings that Segment's own clients
respect: 32 x 1,024 bytes for a message and 500,000 bytes for a decompressed request.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from segment_librato.foreign.narrowing import is_dict

if TYPE_CHECKING:
    from segment_librato.devserver.http.exchange import JsonObject

__all__ = [
    "MAX_BATCH_BYTES",
    "MAX_BATCH_MESSAGES",
    "MAX_MESSAGE_BYTES",
    "MESSAGE_TYPES",
    "find_drop_reasons",
    "find_problem",
]

MAX_BATCH_BYTES = 500_000
MAX_BATCH_MESSAGES = 2_500
MAX_EVENT_CHARACTERS = 255
MAX_MESSAGE_BYTES = 32 * 1024
MAX_MESSAGE_ID_CHARACTERS = 99

ABSENT = (None, "")
MESSAGE_TYPES = {"alias", "group", "identify", "page", "screen", "track"}


def find_problem(message: object) -> str:
    """Say what is wrong with a message; an empty text if nothing is."""
    if not is_dict(message):
        return "not an object"
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in MESSAGE_TYPES:
        return "the type is unknown"
    for field in ("userId", "anonymousId", "messageId"):
        if not isinstance(message.get(field, ""), str | None):
            return f"{field} is not a string"
    for field in ("previousId", "groupId"):
        value = message.get(field, "")
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            return f"{field} is not a string or a number"
    return _find_identity_problem(message) or (
        _find_event_problem(message.get("event")) if kind == "track" else ""
    )


def _find_identity_problem(message: JsonObject) -> str:
    kind = message["type"]
    if kind == "alias":
        complete = message.get("previousId") not in ABSENT and message.get("userId")
        return "" if complete else "alias needs previousId and userId"
    if not (message.get("userId") or message.get("anonymousId")):
        return "userId or anonymousId is needed"
    if kind == "group" and message.get("groupId") in ABSENT:
        return "group needs groupId"
    return ""


def _find_event_problem(event: object) -> str:
    if not isinstance(event, str):
        return "track needs a string event"
    if len(event) > MAX_EVENT_CHARACTERS:
        return f"event exceeds {MAX_EVENT_CHARACTERS} characters"
    return ""


def find_drop_reasons(messages: list[JsonObject], body_size: int) -> list[str]:
    """Give each message the reason to drop it; an empty text keeps it."""
    if body_size > MAX_BATCH_BYTES:
        return ["the request exceeds 500 KB"] * len(messages)
    if len(messages) > MAX_BATCH_MESSAGES:
        return ["the request exceeds 2,500 messages"] * len(messages)
    return [_find_drop_reason(message, body_size) for message in messages]


def _find_drop_reason(message: JsonObject, body_size: int) -> str:
    if len(message.get("messageId") or "") > MAX_MESSAGE_ID_CHARACTERS:
        return "the messageId has 100 characters or more"
    # A message is no larger than its request: small requests need no measuring.
    if body_size > MAX_MESSAGE_BYTES and _measure(message) > MAX_MESSAGE_BYTES:
        return "the message exceeds 32 KB"
    return ""


def _measure(message: JsonObject) -> int:
    """Return the bytes of a message as compact JSON in UTF-8, however it was written."""
    return len(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))
