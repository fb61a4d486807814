"""The head of an HTTP response: its status line, and the headers that matter.

`http.client` takes a 102 or 103 for the answer, fails for a 101st header, and hands every header
to whoever parses cookies and encodings. So the head is read here, and `http.client` is given one
that is short and plain. Owns what counts as odd about a response, so that its connection is not
used again. Must not know connections or deadlines, nor what a status means.
"""

from __future__ import annotations

import http.client
import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from segment_librato.foreign.interruption import being_handled, let_through

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Head", "read_head"]

MAX_HEAD_BYTES = 64 * 1024
MAX_INTERIM_RESPONSES = 100
MAX_HEADERS = 50  # `http.client` takes up to 99

# Those of the connection and the body, and those that a transport asks for. No cookies, which can
# take `requests` a minute to parse, and no encoding of the body, which is read as it came.
KEPT = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"content-length"),
        *(b"transfer-encoding", b"content-type", b"date", b"location", b"retry-after"),
        b"x-ratelimit-reset",
    }
)
STATUS_LINE = re.compile(rb"HTTP/1\.\d+\s+([1-9]\d\d)(?!\S)")
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*?)[ \t]*\r?\n")
SWITCHING_PROTOCOLS = 101
EMPTY_LINE = frozenset({b"\r\n", b"\n"})


class _Lines(Protocol):
    def readline(self, limit: int, /) -> bytes: ...


class Head(NamedTuple):
    """The head of a response.

    Attributes:
        data: a head that `http.client` can parse, and that says the same.
        is_odd: whether something about it leaves doubt where the next response begins.
        is_complete: whether all of it came, so that what follows is the body.
    """

    data: bytes
    is_odd: bool
    is_complete: bool = True


def read_head(stream: _Lines) -> Head:
    """Read the head of a response; the interim ones before it are skipped (RFC 9110, 15.2).

    Once the status line is there, nothing that follows is an error: the server has decided.

    Raises:
        OSError: the connection failed before there was a status line.
        http.client.HTTPException: more interim responses came than anybody would send.
    """
    for _ in range(MAX_INTERIM_RESPONSES):
        status_line = stream.readline(MAX_HEAD_BYTES + 1)
        found = STATUS_LINE.match(status_line)
        if found is None:  # `http.client` says what is wrong with it
            return Head(status_line, is_odd=True)
        status = int(found[1])
        if status >= 200 or status == SWITCHING_PROTOCOLS:  # noqa: PLR2004  the final ones
            return _with_headers(status_line, stream, is_odd=status == SWITCHING_PROTOCOLS)
        for _ in _header_lines(stream):
            pass
    raise http.client.HTTPException("too many interim responses")


def _with_headers(status_line: bytes, stream: _Lines, *, is_odd: bool) -> Head:
    kept: list[bytes] = []
    framing: list[bytes] = []
    is_complete, handled = False, being_handled()
    try:
        for line in _header_lines(stream):
            header = HEADER.fullmatch(line)
            is_odd |= header is None or not line.endswith(b"\r\n")
            if header and (name := header[1].lower()) in KEPT and len(kept) < MAX_HEADERS:
                kept.append(line)
                if name in {b"content-length", b"transfer-encoding"}:
                    framing.append(header[2].lower())
        is_complete = True
    except (OSError, http.client.HTTPException) as error:
        let_through(error, handled)
    # RFC 9112, 6.3: of two lengths, nobody knows which one another reader would believe
    is_odd |= len(framing) > 1 or any(not (one.isdigit() or one == b"chunked") for one in framing)
    data = b"".join([status_line, *kept, b"\r\n"])
    return Head(data, is_odd or not is_complete, is_complete)


def _header_lines(stream: _Lines) -> Iterator[bytes]:
    """Yield the lines up to the empty one.

    Raises:
        http.client.HTTPException: there is no empty line within the limit.
    """
    left = MAX_HEAD_BYTES
    while (line := stream.readline(left + 1)) not in EMPTY_LINE:
        left -= len(line)
        if left < 0 or not line.endswith(b"\n"):
            raise http.client.HTTPException("the headers do not end")
        yield line
