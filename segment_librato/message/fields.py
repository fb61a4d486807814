"""The fields of a message: what they may be, and how a wrong value is rejected.

Field names and texts follow Segment's specification ("Spec: Common fields"); limits are those of
its HTTP API. Must not know threads, the network or JSON.
"""

from __future__ import annotations

import numbers
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from segment_librato._version import VERSION
from segment_librato.errors import ValidationError, unexpected

__all__ = [
    "LIBRARY",
    "MAX_EVENT_LENGTH",
    "MAX_MESSAGE_BYTES",
    "Identifier",
    "Message",
    "check_event",
    "check_identifier",
    "check_message_id",
    "copy_context",
    "copy_mapping",
    "keep_number",
]

Message: TypeAlias = dict[str, Any]
"""A message as it is sent: camelCase keys, JSON values."""

if TYPE_CHECKING:
    from uuid import UUID

    Identifier: TypeAlias = str | int | float | Decimal | UUID
else:  # an expression that `typing.get_type_hints` can evaluate anywhere: the import takes 2 ms
    Identifier = Union[str, int, float, Decimal, "__import__('uuid').UUID"]
"""An id of a user, a group or a message."""

MAX_MESSAGE_BYTES = 32 * 1024
MAX_MESSAGE_ID_LENGTH = 99
MAX_EVENT_LENGTH = 255
LIBRARY = {"name": "segment-librato", "version": VERSION}


def check_event(field: str, event: object) -> str:
    """Return the event name.

    Raises:
        ValidationError: the value cannot be one; the text names the field.
    """
    if not isinstance(event, str):
        raise ValidationError(unexpected(field, "a str", event))
    if len(event) > MAX_EVENT_LENGTH:
        expected = f"at most {MAX_EVENT_LENGTH} characters"
        raise ValidationError(f"{field}: expected {expected}, got {len(event)}")
    return event if type(event) is str else str.__str__(event)


def copy_context(value: Mapping[str, Any]) -> Message:
    """Return a copy of the context that names this library; see `copy_mapping`."""
    context = value if type(value) is dict else copy_mapping("context", value)
    return {**context, "library": LIBRARY.copy()}


def copy_mapping(field: str, value: Mapping[str, Any] | None) -> Message:
    """Return a shallow copy as a dict.

    Raises:
        ValidationError: the value is no mapping, or cannot be read; the text names the field.
    """
    if type(value) is dict:
        return value.copy()
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValidationError(unexpected(field, "a dict or None", value))
    try:
        return dict(value)
    except Exception as error:  # noqa: BLE001  the code of a Mapping may raise anything
        raise ValidationError(f"{field}: reading it raised {type(error).__name__}") from None


def check_identifier(field: str, value: Identifier | None) -> str:
    """Return the id as text, which may be empty.

    Raises:
        ValidationError: the value cannot be an id; the text names the field.
    """
    if isinstance(value, str):  # such as a member of a str Enum, whose str() is its name
        return str.__str__(value)
    if not (_is_number(value) or _is_uuid(value)):
        raise ValidationError(unexpected(field, "a str or a number", value))
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001  an int of more than 4,300 digits, for example
        problem = f"{field}: its str() raised {type(error).__name__}"
        raise ValidationError(problem) from None
    if text.lower().lstrip("-").startswith(("nan", "inf", "snan")):
        raise ValidationError(f"{field}: expected a finite number, got NaN or infinity")
    return text


def _is_number(value: object) -> bool:
    return isinstance(value, (numbers.Real, Decimal)) and not isinstance(value, bool)


def _is_uuid(value: object) -> bool:
    """Return whether it is a UUID, without importing `uuid`, which takes 5 ms."""
    kind = getattr(sys.modules.get("uuid"), "UUID", None)  # loaded wherever there is a UUID
    return kind is not None and isinstance(value, kind)


def keep_number(field: str, value: Identifier | None) -> str | int | float:
    """Return the id, a number as a number: segment-analytics-python does not convert these."""
    text = check_identifier(field, value)
    if isinstance(value, int):
        return int.__int__(value)
    return float.__float__(value) if isinstance(value, float) else text


def check_message_id(value: Identifier) -> str:
    """Return the message id as text.

    Raises:
        ValidationError: the value cannot be one.
    """
    text = check_identifier("message_id", value)
    if not 0 < len(text) <= MAX_MESSAGE_ID_LENGTH:
        expected = f"1 to {MAX_MESSAGE_ID_LENGTH} characters"
        raise ValidationError(f"message_id: expected {expected}, got {len(text)}")
    return text
