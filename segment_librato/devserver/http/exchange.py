"""The values that pass between the modules of the local server: a request and its response.

Owns `Request`, `Response`, `Verdict` and `InvalidRequestError`. Must not know sockets, the rules
of an API or the state of the server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from email.message import Message

__all__ = ["InvalidRequestError", "JsonObject", "Request", "Response", "Verdict"]

JsonObject: TypeAlias = dict[str, Any]

CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
}


@dataclass(frozen=True, eq=False)
class Request:
    """A request as it arrived, and the status of its response.

    Attributes:
        method: the HTTP method.
        path: the path, without host and query.
        query: what follows the question mark, as sent.
        headers: the headers; look-ups ignore case.
        raw_size: bytes of the body as sent.
        size: bytes of the body after decompression; 0 if it could not be decompressed.
        messages: the messages of the batch, including duplicates and dropped ones; empty if the
            request was rejected.
        measurements: the gauges or measurements of a request to Librato, as sent; empty if the
            request was rejected.
        write_key: the key in the body, otherwise the user name of Basic authentication.
        status: the status of the response; None if the connection was closed without one, and
            until the response is decided.
        rejection: why the API rejected the request; empty if it did not.
        received_at: `time.monotonic()` once the whole request had been read.
        received_time: the same moment as whole seconds since the epoch.
        client_address: address and port of the peer; the port tells connections apart.
    """

    method: str
    path: str
    headers: Message = field(repr=False)
    raw_size: int
    received_at: float
    received_time: int
    client_address: tuple[str, int]
    query: str = field(default="", repr=False)
    size: int = 0
    messages: tuple[JsonObject, ...] = field(default=(), repr=False)
    measurements: tuple[JsonObject, ...] = field(default=(), repr=False)
    write_key: str = field(default="", repr=False)
    status: int | None = None
    rejection: str = ""

    @property
    def batch_size(self) -> int:
        """The number of messages in the request."""
        return len(self.messages)

    @property
    def message_ids(self) -> tuple[str | None, ...]:
        """The messageIds in the order of the batch; None where a message has none."""
        return tuple(message.get("messageId") for message in self.messages)

    def without_content(self) -> Request:
        """Return the same request without what it brought, which may be much larger."""
        return replace(self, messages=(), measurements=())


@dataclass(frozen=True)
class Response:
    """What is sent back; a status of None closes the connection without a response.

    Attributes:
        status: the status.
        body: the body.
        headers: added to the usual headers, or replacing them.
        pieces: a body that is sent piece by piece while it is made, instead of `body`; closed when
            the client has all, or goes away.
    """

    status: int | None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    pieces: Generator[bytes, None, None] | None = None

    @classmethod
    def of_json(cls, status: int, value: object) -> Response:
        """Build a response whose body is `value` as JSON."""
        return cls(status, json.dumps(value).encode())

    @classmethod
    def of_error(cls, status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
        """Build a response in the form of the Segment API's errors."""
        body = json.dumps({"code": CODES.get(status, "error"), "message": text}).encode()
        return cls(status, body, headers or {})

    @classmethod
    def of_success(cls) -> Response:
        """Build the response to an accepted request."""
        return cls.of_json(200, {"success": True})


@dataclass(frozen=True)
class Verdict:
    """What an API makes of a request; each API adds what it would keep of it.

    Attributes:
        request: the request, with what its body holds.
        response: the response of the API.
    """

    request: Request
    response: Response


class InvalidRequestError(Exception):
    """A request broke a rule of the API and was rejected as a whole.

    Each API puts the rejection in the form of its own errors.

    Attributes:
        status: the status of the response.
        text: the reason; repeats nothing of the request.
        headers: headers of the response.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers: Mapping[str, str] = headers or {}
