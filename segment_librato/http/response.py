"""An HTTP response: what its headers and its body say, whatever the server put there.

Pure. Must not know connections, or what an API means by a status.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from segment_librato.config.validators import host_of
from segment_librato.foreign.interruption import is_interruption
from segment_librato.foreign.narrowing import is_dict
from segment_librato.foreign.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["NOT_FOUND", "REDIRECT", "SUCCESS", "UNAUTHORIZED", "Response", "redact"]

SUCCESS = range(200, 300)
REDIRECT = range(300, 400)
UNAUTHORIZED = 401
NOT_FOUND = 404

MAX_TEXT_LENGTH = 200

RETRY_AFTER = re.compile(r"[A-Za-z]+,[^,]*|[^,]+")  # a date has a comma after its weekday
SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?")


@dataclass(frozen=True)
class Response:
    """The response to a request.

    Attributes:
        status: the HTTP status.
        reason: the reason phrase beside it.
        headers: the headers; look-ups should ignore case.
        body: the beginning of the body, as it came.
        received_at: the local time of its arrival, in seconds since the epoch.
    """

    status: int
    reason: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: float

    def json_object(self) -> dict[str, Any]:
        """Return the JSON object in the body, an empty one if there is none."""
        try:
            content = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            if is_interruption(error):
                raise
            return {}
        return content if is_dict(content) else {}

    def retry_after(self, header: str = "Retry-After") -> float | None:
        """Return the seconds to wait that a header asks for; None if it asks for none.

        It holds a number of seconds or an HTTP date (RFC 9110, 10.2.3). Real servers also send
        fractions, which are rounded up, and several values, of which the latest time counts.
        """
        parts = RETRY_AFTER.findall(self.headers.get(header, ""))
        waits = [_parse_seconds(part, self.received_at) for part in parts]
        return max((wait for wait in waits if 0 < wait < math.inf), default=None)

    def clock_skew(self) -> float | None:
        """Return by how many seconds the local clock is ahead of the server's Date, if known."""
        skew = self.received_at - _parse_date(self.headers.get("Date", ""))
        return None if math.isnan(skew) else skew

    def redirect_target(self, url: str) -> str:
        """Return the scheme and host that a redirect leads to; the rest may hold anything.

        Args:
            url: where the request went.
        """
        location = self.headers.get("Location")
        try:
            target = urljoin(url, location or "")
            scheme, host = urlsplit(target).scheme, host_of(target)
        except ValueError as error:
            if is_interruption(error):
                raise
            return "nowhere"
        return f"{scheme}://{host}" if location and host else "nowhere"


def redact(text: object, secrets: Iterable[str]) -> str:
    """Return a server's text, printable, shortened and without secrets; "" if it is not a str."""
    if not isinstance(text, str):
        return ""
    for secret in filter(None, secrets):
        # `urlsplit` lower-cases a host name
        text = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE)
    return printable(text[:MAX_TEXT_LENGTH])[:MAX_TEXT_LENGTH]


def _parse_seconds(value: str, now: float) -> float:
    """Return the seconds until a time that is given as their number, or as a date; NaN if not."""
    if SECONDS.fullmatch(value.strip()):
        seconds = float(value)
        return math.ceil(seconds) if seconds < math.inf else seconds
    return _parse_date(value) - now


def _parse_date(value: str) -> float:
    """Return the seconds since the epoch of an HTTP date, NaN if it is something else."""
    try:
        date = parsedate_to_datetime(value)
    except (ArithmeticError, IndexError, TypeError, ValueError) as error:
        if is_interruption(error):
            raise
        return math.nan
    if date.tzinfo is None:  # the zone is "-0000", that is UTC
        date = date.replace(tzinfo=timezone.utc)
    return date.timestamp()
