"""Whether what `before_send` returns can be sent.

Owns what each message must have, in the names that it has on its way to Segment. Must not know
what the message was before, but for its type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.errors import unexpected
from segment_librato.message.fields import MAX_EVENT_LENGTH, MAX_MESSAGE_ID_LENGTH

if TYPE_CHECKING:
    from segment_librato.message.fields import Message

__all__ = ["problem_of"]

TEXTS = {"messageId": MAX_MESSAGE_ID_LENGTH, "timestamp": MAX_MESSAGE_ID_LENGTH}
OBJECTS = ("context", "integrations")
OWN_OBJECT = {"track": "properties", "page": "properties", "screen": "properties"}
OWN_ID = {"group": "groupId", "alias": "previousId"}


def problem_of(message: Message, message_type: str) -> str:
    """Return what is wrong with a message that was of this type; empty if nothing is."""
    if message.get("type") != message_type:
        return f"type: expected {message_type}, which it must stay"
    texts = {**TEXTS, "event": MAX_EVENT_LENGTH} if message_type == "track" else TEXTS
    for name, most in texts.items():
        value = message.get(name)
        if not isinstance(value, str) or not (value or name == "event"):
            return unexpected(name, "a str", value)
        if len(value) > most:
            return f"{name}: expected at most {most} characters, got {len(value)}"
    return _problem_of_ids(message, message_type) or _problem_of_objects(message, message_type)


def _problem_of_ids(message: Message, message_type: str) -> str:
    ids = [message.get(name) for name in ("userId", "anonymousId")]
    for name, value in zip(("userId", "anonymousId"), ids, strict=True):
        if not (value is None or isinstance(value, str)):
            return unexpected(name, "a str or None", value)
    if not any(ids):
        return "userId or anonymousId: expected a non-empty str"
    own_id = OWN_ID.get(message_type)
    if own_id and message.get(own_id) is None:
        return unexpected(own_id, "an id", None)
    return ""


def _problem_of_objects(message: Message, message_type: str) -> str:
    own = () if message_type == "alias" else (OWN_OBJECT.get(message_type, "traits"),)
    for name in (*OBJECTS, *own):
        if not isinstance(message.get(name), dict):
            return unexpected(name, "a dict", message.get(name))
    return ""
