"""The request body of `POST /v1/batch` and its limits.

The limits are those of Segment's HTTP API (Segment docs, "HTTP API source"): 500 KB a request
body, envelope and commas included, and 2,500 messages. Over either, the API may answer 200 and
drop the batch. Must not know HTTP, so that knowing the limits does not import it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_BATCH_MESSAGES", "build_body", "max_message_bytes"]

MAX_BATCH_BYTES = 500_000
MAX_BATCH_MESSAGES = 2_500
SENT_AT_EXAMPLE = "2026-11-20T21:17:00.000+00:00"


def build_body(messages: Iterable[bytes], write_key: str, sent_at: str) -> bytes:
    """Return the request body for encoded messages."""
    envelope = json.dumps({"sentAt": sent_at, "writeKey": write_key}, separators=(",", ":"))
    return b'{"batch":[' + b",".join(messages) + b"]," + envelope[1:].encode()


def max_message_bytes(write_key: str) -> int:
    """Return how many bytes of messages fit in one body, each counted with a comma."""
    one_comma_too_many = 1
    empty = build_body((), write_key, SENT_AT_EXAMPLE)
    return MAX_BATCH_BYTES - len(empty) + one_comma_too_many
