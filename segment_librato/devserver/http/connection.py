"""HTTP/1.1 on one connection: framing of requests, keep-alive, and writing responses.

Must not know what a request means: `handle` decides. Never prints; a client that
disconnects ends the connection silently.
"""

from __future__ import annotations

import string
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
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
MAX_LENGTH_DIGITS = 20
DIGITS = {10: set(string.digits), 16: set(string.hexdigits)}
NO_BODY_STATUSES = {204, 304}


def serve_connection(
    connection: socket.socket,
    client_address: tuple[str, int],
    handle: Handler,
    limits: Mapping[str, int] | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Respond to the requests on a connection until either side ends it.

    Args:
        connection: a connected socket; it stays open.
        client_address: address and port of the peer.
        handle: turns a request and its raw body, cut off a little above `MAX_BODY_BYTES`, into
            a response; may block.
        limits: paths whose bodies are cut off elsewhere.
        headers: headers of every response.
    """
    # Besides resets and broken pipes, some systems have other codes for a client that is gone.
    with suppress(OSError):
        _Connection(connection, client_address, handle, limits or {}, headers or {})


class _Connection(BaseHTTPRequestHandler):
    """One connection; the base class calls the `do_` method of each request in turn."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(
        self,
        connection: socket.socket,
        client_address: tuple[str, int],
        handle: Handler,
        limits: Mapping[str, int],
        headers: Mapping[str, str],
    ) -> None:
        self._handle = handle
        self._limits = limits
        self._headers = headers
        # The base class serves inside its constructor, and never looks at its server.
        super().__init__(connection, client_address, None)  # type: ignore[arg-type]

    def _serve(self) -> None:
        try:
            target = urlsplit(self.path)
            body, raw_size = self._read_body(self._limits.get(target.path, MAX_BODY_BYTES))
            check_sender(self.path, self.headers)
        except ValueError as error:
            self.send_error(400, str(error))
            return
        except InvalidRequestError as error:
            self.send_error(error.status, error.text)
            return
        request = Request(
            method=self.command,
            path=target.path,
            query=target.query,
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

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  of the base class
        """Print nothing."""

    def _read_body(self, limit: int) -> tuple[bytes, int]:
        """Return the body and its size; of a body too large, only the beginning is kept."""
        codings = self.headers.get_all("Transfer-Encoding", [])
        lengths = self.headers.get_all("Content-Length", [])
        if len(codings) + len(lengths) > 1:
            raise ValueError("the request states the length of its body twice")  # smuggling
        if not codings:
            pieces = self._read_pieces(_parse_length(lengths[0], 10) if lengths else 0)
        elif codings[0].lower() == "chunked":
            pieces = self._read_chunks()
        else:
            raise ValueError("the Transfer-Encoding is not supported")
        body = bytearray()
        size = 0
        for piece in pieces:
            size += len(piece)
            if len(body) <= limit:
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
        for headers in (self._headers, response.headers):
            fields |= {name.title(): value for name, value in headers.items()}
        if self.close_connection:
            fields["Connection"] = "close"
        self.close_connection = fields.get("Connection", "").lower() == "close"
        body = response.body
        if response.pieces is not None:
            self._write_pieces(response.status, fields, response.pieces)
            return
        if response.status in NO_BODY_STATUSES:
            del fields["Content-Length"]
            body = b""
        elif self.command == "HEAD":
            body = b""
        self.wfile.write(self._build_head(response.status, fields) + body)

    def _write_pieces(
        self, status: int, fields: dict[str, str], pieces: Generator[bytes, None, None]
    ) -> None:
        """Send a body in chunked transfer coding (RFC 9112, section 7.1), and close `pieces`."""
        del fields["Content-Length"]
        is_chunked = self.request_version == "HTTP/1.1"
        if is_chunked:
            fields["Transfer-Encoding"] = "chunked"
        else:
            self.close_connection = True
            fields["Connection"] = "close"
        with closing(pieces):
            self.wfile.write(self._build_head(status, fields))
            for piece in () if self.command == "HEAD" else pieces:
                self.wfile.write(b"%X\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            if is_chunked and self.command != "HEAD":
                self.wfile.write(b"0\r\n\r\n")

    def _build_head(self, status: int, fields: dict[str, str]) -> bytes:
        reason = self.responses.get(status, ("Scripted",))[0]
        lines = [f"HTTP/1.1 {status} {reason}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _parse_length(text: str, base: int) -> int:
    """Parse a Content-Length or a chunk's length; Python's `int` alone takes signs and more."""
    text = text.strip()
    if not (0 < len(text) <= MAX_LENGTH_DIGITS and set(text) <= DIGITS[base]):
        raise ValueError("the length of the body is not a number")
    return int(text, base)
