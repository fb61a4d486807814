"""The six Segment messages: what goes in, what is refused, what goes over the wire.

A message is built in two steps: `build` makes what all types have in common, `add_track_fields`,
`add_identify_fields`, ... add to it what belongs to one. `build` is pure if it is given the time
and the message id. Field names and texts follow Segment's specification ("Spec: Common fields");
limits are those of its HTTP API.

Knows nothing of threads, the network or JSON.
"""

from __future__ import annotations

import numbers
import sys
import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from segment_librato._version import VERSION
from segment_librato.errors import ValidationError, unexpected
from segment_librato.message.ids import new_id

if TYPE_CHECKING:
    from uuid import UUID

__all__ = [
    "MAX_MESSAGE_BYTES",
    "Identifier",
    "Message",
    "Timestamp",
    "add_alias_fields",
    "add_group_fields",
    "add_identify_fields",
    "add_page_fields",
    "add_track_fields",
    "build",
    "check_event",
    "check_identifier",
]

Message: TypeAlias = dict[str, Any]
Identifier: TypeAlias = "str | int | float | Decimal | UUID"
Timestamp: TypeAlias = datetime | date | str | int | float | Decimal
_TIMESTAMP_TYPES = (date, str, numbers.Real, Decimal)

MAX_MESSAGE_BYTES = 32 * 1024
MAX_MESSAGE_ID_LENGTH = 99
MAX_EVENT_LENGTH = 255
LIBRARY = {"name": "segment-librato", "version": VERSION}

LOCAL_TIME_SECONDS = 5  # a naive datetime this young was made by datetime.now()
FIRST_MILLISECONDS = 31_557_600_000  # the year 1971 in milliseconds, 2970 in seconds
MILLISECONDS = [f".{number:03}+00:00" for number in range(1_000)]
# That of the latest message, and its text; one tuple, so that a thread never meets half of it.
_latest_second = [(0, "1970-01-01T00:00:00")]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


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

    Raises:
        ValidationError: a field has a wrong type or value.
    """
    if type(user_id) is not str and user_id is not None:
        user_id = check_identifier("user_id", user_id)
    if type(anonymous_id) is not str and anonymous_id is not None:
        anonymous_id = check_identifier("anonymous_id", anonymous_id)
    if not (user_id or anonymous_id):
        raise ValidationError(
            unexpected("user_id or anonymous_id", "a non-empty str or a number", user_id)
        )
    if now is None:
        now = time.time()
    milliseconds = int(now * 1_000)
    second, text = _latest_second[0]
    if second != milliseconds // 1_000:
        text = _spell_second(milliseconds // 1_000)
    return {
        "integrations": {} if integrations is None else _mapping("integrations", integrations),
        "anonymousId": anonymous_id,
        "timestamp": text + MILLISECONDS[milliseconds % 1_000]
        if timestamp is None
        else _timestamp(timestamp, now),
        "context": {"library": LIBRARY.copy()} if context is None else _context(context),
        "userId": user_id,
        "type": message_type,
        "messageId": new_id() if message_id is None else _message_id(message_id),
    }


def add_track_fields(
    message: Message, event: str | None, properties: Mapping[str, Any] | None
) -> None:
    """Add what only a track message has."""
    is_usual = type(event) is str and len(event) <= MAX_EVENT_LENGTH
    message["event"] = event if is_usual else check_event("event", event)
    message["properties"] = (
        properties.copy() if type(properties) is dict else _mapping("properties", properties)
    )


def check_event(field: str, event: object) -> str:
    """Refuse, by the name of the field, what cannot be an event; return what can."""
    if not isinstance(event, str):
        raise ValidationError(unexpected(field, "a str", event))
    if len(event) > MAX_EVENT_LENGTH:
        expected = f"at most {MAX_EVENT_LENGTH} characters"
        raise ValidationError(f"{field}: expected {expected}, got {len(event)}")
    return event if type(event) is str else str.__str__(event)


def add_identify_fields(message: Message, traits: Mapping[str, Any] | None) -> None:
    """Add what only an identify message has."""
    message["traits"] = _mapping("traits", traits)


def add_group_fields(
    message: Message, group_id: Identifier | None, traits: Mapping[str, Any] | None
) -> None:
    """Add what only a group message has."""
    message["groupId"] = _other_identifier("group_id", group_id)
    message["traits"] = _mapping("traits", traits)


def add_alias_fields(message: Message, previous_id: Identifier | None) -> None:
    """Add what only an alias message has."""
    message["previousId"] = _other_identifier("previous_id", previous_id)


def add_page_fields(
    message: Message,
    category: str | None,
    name: str | None,
    properties: Mapping[str, Any] | None,
) -> None:
    """Add what only a page or a screen message has."""
    for field, value in (("category", category), ("name", name)):
        if value is not None and not isinstance(value, str):
            raise ValidationError(unexpected(field, "a str or None", value))
        message[field] = value if value is None else str.__str__(value)
    message["properties"] = _mapping("properties", properties)


def _context(value: Mapping[str, Any]) -> Message:
    context = value if type(value) is dict else _mapping("context", value)
    return {**context, "library": LIBRARY.copy()}


def _mapping(field: str, value: Mapping[str, Any] | None) -> Message:
    """Return a dict of its own, which can be written to; what it holds is shared."""
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
    """Refuse, by the name of the field, what cannot be an id; return text, which may be empty."""
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
    """Return whether it is a UUID; not by an import, which takes 5 ms."""
    kind = getattr(sys.modules.get("uuid"), "UUID", None)  # whoever has one has imported it
    return kind is not None and isinstance(value, kind)


def _other_identifier(field: str, value: Identifier | None) -> str | int | float:
    """Return the id, a number as a number: segment-analytics-python makes no text of these."""
    text = check_identifier(field, value)
    if isinstance(value, int):
        return int.__int__(value)
    return float.__float__(value) if isinstance(value, float) else text


def _message_id(value: Identifier) -> str:
    text = check_identifier("message_id", value)
    if not 0 < len(text) <= MAX_MESSAGE_ID_LENGTH:
        expected = f"1 to {MAX_MESSAGE_ID_LENGTH} characters"
        raise ValidationError(f"message_id: expected {expected}, got {len(text)}")
    return text


def _spell_second(second: int) -> str:
    """Return the time in UTC, which is the same for all messages of a second."""
    text = datetime.fromtimestamp(second, timezone.utc).isoformat()[: len("2026-11-20T21:17:00")]
    _latest_second[0] = second, text
    return text


def _timestamp(value: Timestamp, now: float) -> str:
    """Return the time as UTC text with milliseconds."""
    if isinstance(value, bool) or not isinstance(value, _TIMESTAMP_TYPES):
        expected = "a datetime, date, ISO 8601 str or number of seconds"
        raise ValidationError(unexpected("timestamp", expected, value))
    try:
        moment = _moment(value, now)
    except Exception:  # noqa: BLE001  the code of a tzinfo or a number may raise anything
        expected = "a time of the years 1 to 9999, a str in ISO 8601"
        problem = f"timestamp: expected {expected}, got an unreadable {type(value).__name__}"
        raise ValidationError(problem) from None
    return moment.isoformat(timespec="milliseconds")


def _moment(value: Timestamp, now: float) -> datetime:
    if isinstance(value, datetime):
        plain = _plain_datetime(value)
        return plain.astimezone(timezone.utc) if _is_local(plain, now) else _as_utc(plain)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    if isinstance(value, str):
        from dateutil.parser import isoparser  # noqa: PLC0415  40 ms, for the few that need it

        # Left to itself, it takes any separator, a digit in milliseconds since the epoch too.
        return _as_utc(isoparser("T").isoparse(value.upper().replace(" ", "T", 1)))
    seconds = float(value)
    if abs(seconds) >= FIRST_MILLISECONDS:
        seconds /= 1_000
    return EPOCH + timedelta(seconds=seconds)  # on Windows, `fromtimestamp` takes none before it


def _plain_datetime(value: datetime) -> datetime:
    """Return the same time without the class of it: the naive ones of pandas are never local."""
    if value != value:  # noqa: PLR0124  the "not a time" of pandas equals nothing
        raise ValueError("not a time")
    return datetime.combine(value.date(), value.time(), value.tzinfo)


def _is_local(value: datetime, now: float) -> bool:
    """Guess whether a naive datetime is local time, because it was made just now.

    `datetime.now()` gives one of the last few seconds. Any other is UTC, also one in the
    future: that is what `datetime.utcnow()` looks like west of Greenwich.
    """
    if value.tzinfo is not None:
        return False
    try:
        return 0 <= now - value.timestamp() < LOCAL_TIME_SECONDS
    except (OSError, OverflowError, ValueError):  # too old for the platform's local time
        return False


def _as_utc(value: datetime) -> datetime:
    if value.utcoffset() is None:
        return value.replace(tzinfo=timezone.utc)
    return value.astimezone(timezone.utc)
