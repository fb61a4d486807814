"""The six Segment messages: a call's arguments become a dict.

A message is built in two steps: `build` makes what all types have in common, `add_track_fields`,
`add_identify_fields`, ... add what belongs to one. `build` is pure if it is given the time and
the message id; it is one function because each function costs 2 % of a call. As the first thing
that each producing call does, it also notices a fork that Python did not see. Must not know
threads, the network or JSON.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from segment_librato.errors import ValidationError, unexpected
from segment_librato.message.fields import (
    LIBRARY,
    MAX_EVENT_LENGTH,
    MAX_MESSAGE_BYTES,
    check_event,
    check_message_id,
    check_optional_identifier,
    check_text,
    copy_context,
    copy_mapping,
    keep_number,
    warn_of_nameless_event,
)
from segment_librato.message.ids import discard_stock, new_id
from segment_librato.message.scope import current_scope, scopes_in_use
from segment_librato.message.timestamp import (
    MILLISECONDS,
    format_second,
    format_timestamp,
    latest_second,
)
from segment_librato.process.fork import notice_fork, unforked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segment_librato.message.fields import Identifier, Message
    from segment_librato.message.timestamp import Timestamp

__all__ = [
    "add_alias_fields",
    "add_group_fields",
    "add_identify_fields",
    "add_page_fields",
    "add_track_fields",
    "build",
]

SOMEBODY = "a non-empty str or a number"
MAX_ID = MAX_MESSAGE_BYTES  # a longer id would be copied several times before it is rejected


def build(
    message_type: str,
    user_id: Identifier | None,
    anonymous_id: Identifier | None,
    context: Mapping[str, Any] | None,
    timestamp: Timestamp | None,
    integrations: Mapping[str, Any] | None,
    message_id: Identifier | None,
    *,
    now: float | None = None,
    in_scope: bool = True,
) -> Message:
    """Build what messages of all types have in common.

    Args:
        message_type: track, identify, group, alias, page or screen.
        user_id: who did it, as the application knows them.
        anonymous_id: who did it, before they were known. One of the two ids is required.
        context: extra facts; `library` in it is overwritten.
        timestamp: when it happened; None is `now`.
        integrations: which destinations get it.
        message_id: Segment drops a second message with the same one; None is a new one.
        now: the current time, in seconds since the epoch; None asks the clock.
        in_scope: take what is None from the current scope, and its context.

    Raises:
        ValidationError: a field has a wrong type or value.
    """
    if not unforked[0]:
        notice_fork()
    if scopes_in_use and in_scope and (scope := current_scope.get()):
        user_id, anonymous_id, context = scope.complete(user_id, anonymous_id, context)
    if user_id is not None and (type(user_id) is not str or len(user_id) > MAX_ID):
        user_id = check_optional_identifier("user_id", user_id)
    if anonymous_id is not None and (type(anonymous_id) is not str or len(anonymous_id) > MAX_ID):
        anonymous_id = check_optional_identifier("anonymous_id", anonymous_id)
    if not (user_id or anonymous_id):
        raise ValidationError(unexpected("user_id or anonymous_id", SOMEBODY, user_id))
    milliseconds = int((now := time.time() if now is None else now) * 1_000)
    moment = None if timestamp is None else format_timestamp(timestamp, now)
    second, text = latest_second[0]
    if second != milliseconds // 1_000:
        text = _begin_second(milliseconds // 1_000)
    return {
        "integrations": {} if integrations is None else copy_mapping("integrations", integrations),
        "anonymousId": anonymous_id,
        "timestamp": moment or text + MILLISECONDS[milliseconds % 1_000],
        "context": {"library": LIBRARY.copy()} if context is None else copy_context(context),
        "userId": user_id,
        "type": message_type,
        "messageId": (message_id is not None and check_message_id(message_id)) or new_id(),
    }


def _begin_second(second: int) -> str:
    """Return the text of a new second; its ids come from a new stock."""
    discard_stock()  # here, where it costs the usual call nothing
    return format_second(second)


def add_track_fields(
    message: Message, event: str | None, properties: Mapping[str, Any] | None
) -> None:
    """Add what only a track message has."""
    if type(event) is str and 0 < len(event) <= MAX_EVENT_LENGTH:
        message["event"] = event
    else:
        message["event"] = check_event("event", event)
        if not message["event"]:  # segment-analytics-python takes it
            warn_of_nameless_event()
    message["properties"] = (
        properties.copy() if type(properties) is dict else copy_mapping("properties", properties)
    )


def add_identify_fields(message: Message, traits: Mapping[str, Any] | None) -> None:
    """Add what only an identify message has."""
    message["traits"] = copy_mapping("traits", traits)


def add_group_fields(
    message: Message, group_id: Identifier | None, traits: Mapping[str, Any] | None
) -> None:
    """Add what only a group message has."""
    message["groupId"] = keep_number("group_id", group_id)
    message["traits"] = copy_mapping("traits", traits)


def add_alias_fields(message: Message, previous_id: Identifier | None) -> None:
    """Add what only an alias message has."""
    message["previousId"] = keep_number("previous_id", previous_id)


def add_page_fields(
    message: Message,
    category: str | None,
    name: str | None,
    properties: Mapping[str, Any] | None,
) -> None:
    """Add what only a page or a screen message has."""
    for field, value in (("category", category), ("name", name)):
        message[field] = check_text(field, value)
    message["properties"] = copy_mapping("properties", properties)
