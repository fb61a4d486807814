"""What became of a row, and the line that tells of a rejected one.

Must not know how a row becomes a message, or how that is sent.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from segment_librato.encoding.coerce import coerce
from segment_librato.errors import MessageTooLargeError

__all__ = ["DELIVERED", "REJECTED", "Outcome", "Settled", "Unreadable", "reject_line"]

DELIVERED = "delivered"
REJECTED = "rejected"

MAX_LINE_BYTES = 10_000_000


class Outcome(NamedTuple):
    """What became of a row.

    Attributes:
        number: The number of the row, from 1, in the order in which they came.
        message_id: The id of its message; None if it was rejected before it had one.
        outcome: "delivered" or "rejected".
        status: The HTTP status with which the server rejected it; None if the server did not.
        reason: Why it was rejected, in our words or the server's; None if it was delivered.
        row: The row as it came, if it was rejected; None if it was delivered.
    """

    number: int
    message_id: str | None
    outcome: str
    status: int | None
    reason: str | None
    row: Any


class Settled(NamedTuple):
    """Rows that follow each other, each with its outcome.

    Attributes:
        first: The number of the first of them.
        outcomes: Those of the rows `first`, `first + 1`, ...
    """

    first: int
    outcomes: list[Outcome]


class Unreadable(NamedTuple):
    """Stands among rows for one that could not be read; it is rejected for this reason.

    Attributes:
        reason: Why it could not be read.
        text: What there was instead, perhaps cut short.
    """

    reason: str
    text: Any


def reject_line(outcome: Outcome, **more: Any) -> bytes:  # noqa: ANN401  any value
    """Return a rejected row as a line of JSON, with its end: what a file of rejects consists of."""
    row = outcome.row.text if isinstance(outcome.row, Unreadable) else outcome.row
    fields = {**more, **outcome._asdict(), "row": row}
    del fields["outcome"]
    try:
        plain = coerce(fields, MAX_LINE_BYTES)
    except MessageTooLargeError:
        plain = coerce({**fields, "row": None}, MAX_LINE_BYTES)
    return json.dumps(plain).encode() + b"\n"
