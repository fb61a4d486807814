"""The call `track`, whose properties depend on the event, and the types that calls take.

Type checkers and editors read `tracking.pyi` instead, which has an overload for each type of
properties that Segment's standard events have: so they cost nothing at run time. Must not know
HTTP, JSON, or how a message is delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from segment_librato.message.build import add_track_fields, build
from segment_librato.message.fields import Identifier, Message
from segment_librato.message.timestamp import Timestamp
from segment_librato.router import Router

__all__ = [
    "AnyContext",
    "AnyGroupTraits",
    "AnyPageProperties",
    "AnyScreenProperties",
    "AnyTrackProperties",
    "AnyUserTraits",
    "Properties",
    "Tracking",
]

Properties: TypeAlias = Mapping[str, Any]
"""Properties, traits, a context or integrations: str to any value that JSON can hold."""

# For `typing.get_type_hints`, without an import of the events.
AnyContext = AnyGroupTraits = AnyUserTraits = Properties
AnyPageProperties = AnyScreenProperties = AnyTrackProperties = Properties


class Tracking:
    """The part of a client that tracks: a class of its own, for the overloads of `tracking.pyi`."""

    _router: Router

    def track(
        self,
        user_id: Identifier | None = None,
        event: str | None = None,
        properties: AnyTrackProperties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]:
        """Record that a user did something.

        Args:
            user_id: Id of the user in your application: a str, a number or a UUID.
            event: Name of what the user did; up to 255 characters.
            properties: Facts about the event. A number in `value` becomes a Librato measurement.
            context: Facts about the circumstances. `{"Librato": {"source": ...}}` names the
                source of the measurement.
            timestamp: When it happened: a datetime (a naive one is UTC, unless it was made just
                now by `datetime.now()`), a date, an ISO 8601 str or seconds since the epoch. None
                means now.
            anonymous_id: Id of a user who is not known yet. One of the two ids is required.
            integrations: Which destinations get the message, such as
                `{"All": False, "Librato": True}`.
            message_id: Id of the message, under 100 characters; None generates one. Segment drops
                a second message with the same id.

        Returns:
            Whether the message was accepted, and the message as it is sent.

        Raises:
            ValidationError: an argument has a wrong type or value.
            MessageTooLargeError: the message exceeds 32 KB.
            SegmentError: in `sync_mode`, without `on_error`: the message was not delivered.
        """
        message = build(
            "track", user_id, anonymous_id, context, timestamp, integrations, message_id
        )
        add_track_fields(message, event, properties)
        return self._router.accept(message)
