"""Reads numbers and times from the values of a message.

Owns what counts as a number and what as a time. Numbers stay exact until they become JSON
numbers. Neither the clock nor the time zone of the machine matters, so a value means the same at
any time and place.

Must not know messages or Librato.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dateutil.parser import parser

__all__ = ["as_json_number", "read_number", "read_time"]

_DECIMAL_NUMBER = re.compile(r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)

_WIRE_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d{3}|\.\d{6})?(?:Z|[+-]\d\d:[0-5]\d)",
    re.ASCII,
)

_NEXT_MIDNIGHT = re.compile(r"(?<![\d:])24:00(:00(?:\.0+)?)?(?![\d:.])", re.ASCII)

# How dateutil fails on odd texts. Any other exception is of a signal handler, and must pass; one of
# these types may be, too, but dateutil itself would take it for its own.
_PARSER_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_MAX_TIME_LENGTH = 100  # dateutil takes seconds to give up on thousands of characters

# From here up a number counts milliseconds: as seconds it would be 1,000 years ahead.
_FIRST_MILLISECONDS = 31_557_600_000

# The years 1 to 9999, as for times in text.
_EARLIEST_SECONDS = -62_135_596_800
_MILLISECONDS_END = 253_402_300_800_000

_DAY_SECONDS = 86_400


def read_number(value: object) -> int | float | Decimal | None:
    """Return `value` if it is a number, or the decimal number in it if it is text.

    Returns:
        the number, not rounded; infinity only for text too large for a float. None for
        anything else; booleans, NaN and infinity do not count as numbers.
    """
    if isinstance(value, str):
        return _parse_number(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, Decimal) and value.is_finite():
        return value
    return None


def _parse_number(text: str) -> int | float | Decimal | None:
    """Return the decimal number in `text`, None if there is none."""
    if not _DECIMAL_NUMBER.fullmatch(text):
        return None
    approximation = float(text)
    if not approximation:
        return 0
    # Decimal raises for exponents of twenty digits; as floats those numbers are 0 or infinite.
    return Decimal(text) if math.isfinite(approximation) else approximation


def as_json_number(number: float | Decimal) -> int | float:
    """Return `number` as JSON can represent it: a whole `Decimal` as an int, others as floats.

    The caller bounds a `Decimal`: 1E+999999 would become an int of a million digits.
    """
    if not isinstance(number, Decimal):
        return number
    whole = int(number)
    return whole if whole == number else float(number)


def read_time(value: object) -> int | None:
    """Return the time in `value`, in whole seconds since the epoch, rounded down.

    Args:
        value: a date as text, in UTC if it has no zone; or a number, or its text: seconds, or
            milliseconds from 31,557,600,000 up.

    Returns:
        the seconds; None if `value` is not a time within the years 1 to 9999.
    """
    if isinstance(value, str):
        if len(value) > _MAX_TIME_LENGTH:
            return None
        date = _read_midnight(value)
        if date is not None:
            return date
    number = read_number(value)
    if number is None or not _EARLIEST_SECONDS <= number < _MILLISECONDS_END:
        return None
    whole = math.floor(number)
    return whole // 1000 if whole >= _FIRST_MILLISECONDS else whole


def _read_midnight(text: str) -> int | None:
    """Return the seconds of a date, where 24 o'clock is the midnight at the end of the day."""
    text, days = _NEXT_MIDNIGHT.subn("00:00:00", text, 1)
    date = _read_date(text)
    if date is None:
        return None
    seconds = (date - _EPOCH) // timedelta(seconds=1) + days * _DAY_SECONDS
    return seconds if seconds * 1_000 < _MILLISECONDS_END else None


def _read_date(text: str) -> datetime | None:
    """Return the aware date in `text`, None if `dateutil` cannot read it or would guess."""
    if _WIRE_TIME.fullmatch(text):
        # No call stands in the `try`: a signal handler that runs after one may raise ValueError.
        dates = map(datetime.fromisoformat, [text.replace("Z", "+00:00")])
        try:
            [date] = dates
        except ValueError:
            return None
        return date
    if text.lstrip().startswith(("+", "-")):
        # A number: dateutil skips the sign and would read "-100" as the year 100.
        return None
    try:
        # dateutil takes what the text leaves out from `default`. A missing month or day becomes
        # the first one. A missing year would be a guess, and shows as two different dates.
        date, other = (
            _date_parser().parse(text, default=datetime(year, 1, 1), tzinfos=_zone)  # noqa: DTZ001 - `_zone` makes it aware
            for year in (2000, 2004)
        )
    except _PARSER_ERRORS:
        return None
    return date if date == other else None


def _zone(name: str | None, offset_seconds: int | None) -> timezone:
    """Return the zone of a date: UTC if the text has none.

    Raises:
        ValueError: the text names a zone without its offset. dateutil would look the name up
            in the machine's own time zone.
    """
    if offset_seconds is not None:
        return timezone(timedelta(seconds=offset_seconds))
    if name is not None:
        raise ValueError("the zone has no offset")
    return timezone.utc


@cache
def _date_parser() -> parser:
    """Return dateutil's parser, with a fixed century for years of two digits."""
    from dateutil.parser import parser, parserinfo

    class FixedCentury(parserinfo):
        """dateutil's vocabulary, without its use of the current year."""

        def convertyear(self, year: int, century_specified: bool = False) -> int:
            """Read 69 to 99 as 1969 to 1999 and 0 to 68 as 2000 to 2068, as POSIX does."""
            if century_specified or year >= 100:  # noqa: PLR2004 - a year of two digits
                return year
            return year + (1900 if year >= 69 else 2000)  # noqa: PLR2004 - the pivot of POSIX

    return parser(FixedCentury())
