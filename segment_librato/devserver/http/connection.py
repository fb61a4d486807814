"""HTTP/1.1 on one connection: framing of requests, keep-alive, and writing responses.

Must not know what a request means: `handle` decides. Never prints; a client that
disconnects ends the connection silently.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from segment_librato.devserver.http.body import MAX_BODY_BYTES
from segment_librato.devserver.http.exchange import InvalidRequestError, Request, Response
from segment_librato.devserver.http.sender import check_sender

if TYPE_CHECKING:
    import socket

__all__ = ["Handler", "serve_connection"]

Handler: TypeAlias = Callable[[Request, bytes], Response]

READ_BYTES = 64 * 1024
MAX_LINE_BYTES = 1024
NO_BODY_STATUSES = {204, 304}


def serve_connection(
    connection: socket.socket, client_address: tuple[str, int], handle: Handler
) -> None:
    """Respond to the requests on a connection until either side ends it.

    Args:
        connection: a connected socket; it stays open.
        client_address: address and port of the peer.
        handle: turns a request and its raw body, cut off a little above `MAX_BODY_BYTES`, into
            a response; may block.
    """
    # Besides resets and broken pipes, some systems have other codes for a client that is gone.
    with suppress(OSError):
        _Connection(connection, client_address, handle)


class _Connection(BaseHTTPRequestHandler):
    """One connection; the base class calls the `do_` method of each request in turn."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(
        self, connection: socket.socket, client_address: tuple[str, int], handle: Handler
    ) -> None:
        self._handle = handle
        # The base class serves inside its constructor, and never looks at its server.
        super().__init__(connection, client_address, None)  # type: ignore[arg-type]

    def _serve(self) -> None:
        try:
            body, raw_size = self._read_body()
            path = urlsplit(self.path).path
            check_sender(self.path, self.headers)
        except ValueError as error:
            self.send_error(400, str(error))
            return
        except InvalidRequestError as error:
            self.send_error(error.status, error.text)
            return
        request = Request(
            method=self.command,
            path=path,
            headers=self.headers,
            raw_size=raw_size,
            received_at=time.monotonic(),
            received_time=int(time.time()),
            client_address=self.client_address,
        )
        self._write(self._handle(request, body))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - the base class wants these names

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Respond to a request that is not HTTP, or not served, and end the connection."""
        self.close_connection = True
        self._write(Response.of_error(code, message or explain or "the request cannot be read"))

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _read_body(self) -> tuple[bytes, int]:
        """Return the body and its size; of a body too large, only the beginning is kept."""
        coding = self.headers.get("Transfer-Encoding")
        if coding is not None and coding.lower() != "chunked":
            raise ValueError("the Transfer-Encoding is not supported")
        if coding is not None:
            pieces = self._read_chunks()
        else:
            pieces = self._read_pieces(_parse_length(self.headers.get("Content-Length", "0"), 10))
        body = bytearray()
        size = 0
        for piece in pieces:
            size += len(piece)
            if len(body) <= MAX_BODY_BYTES:
                body += piece
        return bytes(body), size

    def _read_chunks(self) -> Iterator[bytes]:
        """Yield a body in chunked transfer coding (RFC 9112, section 7.1)."""
        while length := _parse_length(self._read_line().partition(";")[0], 16):
            yield from self._read_pieces(length)
            if self._read_line():
                raise ValueError("a chunk does not end where its length says")
        while self._read_line():
            pass  # trailers are ignored

    def _read_pieces(self, length: int) -> Iterator[bytes]:
        while length > 0:
            piece = self.rfile.read(min(length, READ_BYTES))
            if not piece:
                raise ConnectionAbortedError("the client went away")
            length -= len(piece)
            yield piece

    def _read_line(self) -> str:
        line = self.rfile.readline(MAX_LINE_BYTES)
        if not line.endswith(b"\n"):
            raise ConnectionAbortedError("the client went away, or sent no line")
        return line.decode("latin-1").strip()

    def _write(self, response: Response) -> None:
        """Send a response in one piece, so that no delayed acknowledgement slows it down."""
        if response.status is None:
            self.close_connection = True
            return
        fields = {"Content-Type": "application/json", "Content-Length": str(len(response.body))}
        fields |= {name.title(): value for name, value in response.headers.items()}
        if self.close_connection:
            fields["Connection"] = "close"
        self.close_connection = fields.get("Connection", "").lower() == "close"
        body = response.body
        if response.status in NO_BODY_STATUSES:
            del fields["Content-Length"]
            body = b""
        elif self.command == "HEAD":
            body = b""
        reason = self.responses.get(response.status, ("Scripted",))[0]
        lines = [f"HTTP/1.1 {response.status} {reason}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


def _parse_length(text: str, base: int) -> int:
    """Parse a Content-Length or a chunk's length; Python's `int` alone takes signs and more."""
    text = text.strip()
    if not (text.isascii() and text.isalnum()):
        raise ValueError("the length of the body is not a number")
    return int(text, base)
