"""The time of a message: what callers may pass, as UTC text with milliseconds.

Pure if it is given the current time. Must not know messages.
"""

from __future__ import annotations

import math
import numbers
import re
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TypeAlias

from segment_librato.errors import ValidationError, unexpected
from segment_librato.foreign.interruption import being_handled, is_interruption, let_through
from segment_librato.foreign.stand_ins import resolved

__all__ = [
    "FIRST_MILLISECONDS",
    "MILLISECONDS",
    "Timestamp",
    "format_second",
    "format_timestamp",
    "latest_second",
]

Timestamp: TypeAlias = datetime | date | str | int | float | Decimal
"""When something happened; see `Client.track`."""

_TIMESTAMP_TYPES = (date, str, numbers.Real, Decimal)

LOCAL_TIME_SECONDS = 5  # a naive datetime this young was made by datetime.now()
FIRST_MILLISECONDS = 31_557_600_000  # the year 1971 in milliseconds, 2970 in seconds
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

MAX_TEXT_LENGTH = 100
_UTC = re.compile(r"\s*(?:UTC|GMT|Z)$")
_BEFORE_OFFSET = re.compile(r"\s+(?=[+-]\d\d(?::?\d\d)?$)")
_USUAL = re.compile(  # what `datetime.isoformat` writes, and JavaScript's `toISOString`
    "([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]((?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})"
    r"(?:(\.[0-9]{3})(?:[0-9]{3})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_ZERO_OFFSETS = frozenset({"Z", "+00:00", "-00:00", None})
_LEAP_SECOND = re.compile(r"(?<=T)(\d\d:?\d\d:?)60(?!\d)")

MILLISECONDS: list[str] = [f".{number:03}+00:00" for number in range(1_000)]
"""The end of the text of a time, for each millisecond of a second."""

latest_second: list[tuple[int, str]] = [(0, "1970-01-01T00:00:00")]
"""The second of the latest message, and its text: one tuple, so that no thread sees half of it."""


def format_second(second: int) -> str:
    """Return the time in UTC, which is the same for all messages of a second."""
    text = datetime.fromtimestamp(second, timezone.utc).isoformat()[: len("2026-11-20T21:17:00")]
    latest_second[0] = second, text
    return text


def format_timestamp(value: Timestamp, now: float) -> str | None:
    """Return the time as UTC text with milliseconds; None if the value stands for None.

    Raises:
        ValidationError: the value is not a time.
    """
    try:
        if type(value) is str and (text := _format_usual(value)):
            return text
        value = resolved(value)
        if value is None:
            return None
        is_known = isinstance(value, _TIMESTAMP_TYPES) and not isinstance(value, bool)
        moment = _moment(value, now) if is_known else None
    except Exception as error:
        if is_interruption(error):
            raise
        expected = "a time of the years 1 to 9999, a str in ISO 8601"
        problem = f"timestamp: expected {expected}, got {_describe(value)}"
        raise ValidationError(problem) from None
    if moment is None:
        expected = "a datetime, date, ISO 8601 str or number of seconds"
        raise ValidationError(unexpected("timestamp", expected, value))
    return moment.isoformat(timespec="milliseconds")


def _describe(value: object) -> str:
    """Say what is wrong with a value that is not a time, without quoting it."""
    kind = type(value).__name__
    if isinstance(value, Decimal) and not value.is_finite():
        return "NaN or infinity"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN or infinity"
    if isinstance(value, (int, float, Decimal)):
        return f"a {kind} beyond them"
    return "an empty str" if isinstance(value, str) and not value else f"an unreadable {kind}"


def _moment(value: Timestamp, now: float) -> datetime:
    if isinstance(value, datetime):
        plain = _plain_datetime(value)
        return plain.astimezone(timezone.utc) if _is_local(plain, now) else _as_utc(plain)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    if isinstance(value, str):
        return _read_text(value)
    seconds = float(value)
    if abs(seconds) >= FIRST_MILLISECONDS:
        seconds /= 1_000
    return EPOCH + timedelta(seconds=seconds)  # on Windows, `fromtimestamp` rejects any before it


def _format_usual(text: str) -> str | None:
    """Return a time that is written as usual; None if it is not: `dateutil` takes much longer."""
    usual = _USUAL.fullmatch(text)
    if not usual:
        return None
    day, clock, fraction, offset = usual.groups()
    fraction = fraction or ".000"
    try:
        if offset in _ZERO_OFFSETS:
            datetime.fromisoformat(f"{day}T{clock}")
            return f"{day}T{clock}{fraction}+00:00"
        moment = datetime.fromisoformat(f"{day}T{clock}{fraction}{offset}")
        return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError) as error:  # no such day; a leap second
        if is_interruption(error):
            raise
    return None


def _read_text(text: str) -> datetime:
    """Return the time in a text: ISO 8601, with blanks or the name of UTC where people put them."""
    from dateutil.parser import isoparser

    if len(text) > MAX_TEXT_LENGTH:
        raise ValueError("too long")
    text = _BEFORE_OFFSET.sub("", _UTC.sub("Z", text.strip().upper())).replace(" ", "T", 1)
    if "T" not in text:
        text = text.removesuffix("Z")  # a date without a time
    text, leap_seconds = _LEAP_SECOND.subn(r"\g<1>59", text)
    # By default, it takes any separator, even a digit of milliseconds since the epoch.
    return _as_utc(isoparser("T").isoparse(text)) + timedelta(seconds=leap_seconds)


def _plain_datetime(value: datetime) -> datetime:
    """Return the same time as a plain datetime: those of pandas, if naive, are never local.

    It is made field by field, as the `time()` of pendulum has lost its `fold`.
    """
    if value != value:  # noqa: PLR0124  the "not a time" of pandas equals nothing
        raise ValueError("not a time")
    clock = value.hour, value.minute, value.second, value.microsecond
    day = value.year, value.month, value.day
    return datetime(*day, *clock, tzinfo=value.tzinfo, fold=value.fold)


def _is_local(value: datetime, now: float) -> bool:
    """Guess whether a naive datetime is local time, because it was made just now.

    `datetime.now()` gives one of the last few seconds. Any other is UTC, even one in the
    future: that is what `datetime.utcnow()` looks like west of Greenwich.
    """
    if value.tzinfo is not None:
        return False
    handled = being_handled()
    try:
        return 0 <= now - value.timestamp() < LOCAL_TIME_SECONDS
    except (OSError, OverflowError, ValueError) as error:  # too old for the local time here
        let_through(error, handled)
        return False


def _as_utc(value: datetime) -> datetime:
    if value.utcoffset() is None:
        return value.replace(tzinfo=timezone.utc)
    return value.astimezone(timezone.utc)
