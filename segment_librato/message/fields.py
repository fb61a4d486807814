"""The fields of a message: what they may be, and how a wrong value is rejected.

Field names and texts follow Segment's specification ("Spec: Common fields"); limits are those of
its HTTP API. Must not know threads, the network or JSON.
"""

from __future__ import annotations

import numbers
import sys
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from segment_librato._version import VERSION
from segment_librato.errors import MessageTooLargeError, ValidationError, unexpected
from segment_librato.foreign.interruption import is_interruption
from segment_librato.foreign.narrowing import DICT
from segment_librato.foreign.stand_ins import as_str, is_text, stands_for
from segment_librato.log import log

__all__ = [
    "LIBRARY",
    "MAX_EVENT_LENGTH",
    "MAX_MESSAGE_BYTES",
    "Identifier",
    "Message",
    "check_event",
    "check_identifier",
    "check_message_id",
    "check_optional_identifier",
    "check_text",
    "copy_context",
    "copy_mapping",
    "keep_number",
    "plain",
    "warn_of_nameless_event",
]

Message: TypeAlias = dict[str, Any]
"""A message as it is sent: camelCase keys, JSON values."""

if TYPE_CHECKING:
    from uuid import UUID

    Identifier: TypeAlias = str | int | float | Decimal | UUID
    """An id of a user, a group or a message."""
else:  # an expression that `typing.get_type_hints` can evaluate anywhere: the import takes 2 ms
    Identifier = Union[str, int, float, Decimal, "__import__('uuid').UUID"]

MAX_MESSAGE_BYTES = 32 * 1024
MAX_MESSAGE_ID_LENGTH = 99
MAX_EVENT_LENGTH = 255
LIBRARY = {"name": "segment-librato", "version": VERSION}


def plain(field: str, value: Any) -> Any:  # noqa: ANN401  any value
    """Return what a value stands for, and a text as a str: a proxy and a lazy text are that text.

    Raises:
        ValidationError: its code raised something.
        MessageTooLargeError: it is a text that fits in no message.
    """
    if type(value) is not str:
        try:
            value = stands_for(value)
            if is_text(value):
                if issubclass(type(value), str):
                    _check_length(field, str.__len__(value))  # before a copy is made
                value = as_str(value)
        except MessageTooLargeError:
            raise
        except Exception as error:
            if is_interruption(error):
                raise
            raise _unreadable(field, error) from None
    if type(value) is str:
        _check_length(field, len(value))
    return value


def _check_length(field: str, length: int) -> None:
    if length > MAX_MESSAGE_BYTES:
        expected = f"at most {MAX_MESSAGE_BYTES} bytes of JSON"
        raise MessageTooLargeError(f"{field}: expected {expected}, got {length} characters")


def _unreadable(field: str, error: Exception) -> ValidationError:
    return ValidationError(f"{field}: reading it raised {type(error).__name__}")


def check_event(field: str, event: object) -> str:
    """Return the event name.

    Raises:
        ValidationError: the value cannot be one; the text names the field.
    """
    if type(event) is not str:
        event = plain(field, event)
    if not isinstance(event, str):
        raise ValidationError(unexpected(field, "a str", event))
    if len(event) > MAX_EVENT_LENGTH:
        expected = f"at most {MAX_EVENT_LENGTH} characters"
        raise ValidationError(f"{field}: expected {expected}, got {len(event)}")
    return event


@cache
def warn_of_nameless_event() -> None:
    """Log, once, that an event has no name."""
    log.warning("event: expected the name of an event, got an empty str; sent all the same")


def check_text(field: str, value: object) -> str | None:
    """Return a text that may be missing.

    Raises:
        ValidationError: the value is neither a text nor None; the text names the field.
    """
    value = plain(field, value)
    if value is None or isinstance(value, str):
        return value
    raise ValidationError(unexpected(field, "a str or None", value))


def copy_context(value: Mapping[str, Any]) -> Message:
    """Return a copy of the context that names this library; see `copy_mapping`."""
    context = value if type(value) is DICT else copy_mapping("context", value)
    return {**context, "library": LIBRARY.copy()}


def copy_mapping(field: str, value: Mapping[str, Any] | None) -> Message:
    """Return a shallow copy as a dict.

    Raises:
        ValidationError: the value is no mapping, or cannot be read; the text names the field.
    """
    if value is None:
        return {}
    if type(value) is DICT:
        return value.copy()
    value = plain(field, value)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValidationError(unexpected(field, "a dict or None", value))
    try:
        return dict(value)
    except Exception as error:
        if is_interruption(error):
            raise
        raise _unreadable(field, error) from None


def check_optional_identifier(field: str, value: Identifier | None) -> str | None:
    """Return the id as text, which may be empty, or None; see `check_identifier`."""
    value = plain(field, value)
    return None if value is None else _identifier_text(field, value)


def check_identifier(field: str, value: Identifier | None) -> str:
    """Return the id as text, which may be empty.

    Raises:
        ValidationError: the value cannot be an id; the text names the field.
        MessageTooLargeError: it is longer than a message may be.
    """
    return _identifier_text(field, plain(field, value))


def _identifier_text(field: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if not (_is_number(value) or _is_uuid(value)):
        raise ValidationError(unexpected(field, "a str or a number", value))
    if isinstance(value, int):
        _check_length(field, int.bit_length(value) // 4)  # fewer than its decimal digits
    try:
        text = str(value)
    except Exception as error:
        if is_interruption(error):
            raise
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
    number = plain(field, value)
    text = _identifier_text(field, number)
    if isinstance(number, int):
        return int.__int__(number)
    return float.__float__(number) if isinstance(number, float) else text


def check_message_id(value: Identifier) -> str | None:
    """Return the message id as text; None if the value stands for None.

    Raises:
        ValidationError: the value cannot be one.
    """
    text = check_optional_identifier("message_id", value)
    if text is not None and not 0 < len(text) <= MAX_MESSAGE_ID_LENGTH:
        expected = f"1 to {MAX_MESSAGE_ID_LENGTH} characters"
        raise ValidationError(f"message_id: expected {expected}, got {len(text)}")
    return text
