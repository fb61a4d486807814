"""A message that the page sends: a request like that of a client, but no client's.

Owns that request. Must not know what becomes of it.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from email.message import Message
from typing import TYPE_CHECKING

from segment_librato.devserver.http.exchange import InvalidRequestError
from segment_librato.devserver.page.query import read_content

if TYPE_CHECKING:
    from segment_librato.devserver.http.exchange import Request

__all__ = ["SEND_PATH", "build_request", "is_of_client"]

SEND_PATH = "/send"
PATH = "/v1/batch"
WRITE_KEY = "debugger"
MARK = "X-Sent-By-Page"


def build_request(asked: Request, content: bytes) -> tuple[Request, bytes]:
    """Return a request with one message, and its body.

    Args:
        asked: the request to the page.
        content: its body.

    Raises:
        InvalidRequestError: it has no message, or is no POST.
    """
    if asked.method != "POST":
        raise InvalidRequestError(405, "the route accepts only POST", {"Allow": "POST"})
    message = read_content(content, {"message"}).get("message")
    if not isinstance(message, dict):
        raise InvalidRequestError(400, "message is not an object")
    body = json.dumps({"batch": [message], "writeKey": WRITE_KEY}).encode()
    headers = Message()
    headers[MARK] = "1"
    request = replace(
        asked,
        method="POST",
        path=PATH,
        query="",
        headers=headers,
        raw_size=len(body),
        received_at=time.monotonic(),
    )
    return request, body


def is_of_client(request: Request) -> bool:
    """Return whether a client sent a request: trouble is for clients only."""
    return MARK not in request.headers
