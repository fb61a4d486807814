"""The deadlines of a request: for the headers of the response, for its body, and for both.

The timeout of a socket is for one piece of data only: a server that drips bytes can go on forever.
So a response is read from a stream that has a deadline.

Owns how long an answer is waited for, and what is known of it when that ends. Must not know what
is sent, or what a response means.
"""

from __future__ import annotations

import http.client
import io
import math
from typing import TYPE_CHECKING, Any

from urllib3 import Timeout as DeadlineTimeout

from segment_librato.foreign.interruption import is_interruption
from segment_librato.http.head import read_head
from segment_librato.process.clock import monotonic

if TYPE_CHECKING:
    import socket

    from segment_librato.config.validators import Timeout

__all__ = ["Exchange", "TimedResponse", "seconds_until", "timeout_within"]

MAX_BODY_SECONDS = 2.0
MIN_TIMEOUT = 0.001  # urllib3 takes no 0
# What a connection that was there already gets of the time for an answer. If it is forgotten (by a
# router, say), a new one has the rest: so the answer of a slow server comes over one or the other.
SHARE_OF_KEPT_CONNECTION = 1 / 3


def seconds_until(deadline: float | None) -> float | None:
    """Return the seconds left until a time of `monotonic`; None without one."""
    return None if deadline is None else max(0.0, deadline - monotonic())


def timeout_within(timeout: Timeout, seconds: float | None) -> Any:  # noqa: ANN401  requests' types lack that of urllib3
    """Return what `requests` takes as a timeout; the parts have to fit in the whole.

    Args:
        timeout: seconds to connect, and to the end of the headers; one number or a pair.
        seconds: to the end of the response, if that must come before the timeout.
    """
    if seconds is None:
        return timeout
    connect, read = timeout if isinstance(timeout, tuple) else (timeout,) * 2
    return DeadlineTimeout(connect=connect, read=read, total=max(seconds, MIN_TIMEOUT))


class Exchange:
    """The request that a session is making, and what its connection knows of the answer.

    Attributes:
        is_over_kept_connection: whether the connection was there already.
        status: the status, once there is a status line.
        reason: the reason phrase beside it.
        is_odd: whether the connection must not be used again, whatever the answer is.
    """

    def __init__(self) -> None:
        self.begin(MAX_BODY_SECONDS, None)

    def begin(self, timeout: Timeout, seconds: float | None) -> None:
        """Begin another request; the arguments are those of `timeout_within`."""
        self._began_at = monotonic()
        self._read_seconds = timeout[1] if isinstance(timeout, tuple) else timeout
        self._seconds = math.inf if seconds is None else seconds
        self.is_over_kept_connection: bool = False
        self.status: int | None = None
        self.reason = ""
        self.is_odd = False

    def keep_connection(self) -> float:
        """Note that the request goes over a connection that was there; return its seconds."""
        self.is_over_kept_connection = True
        return self._limit() * SHARE_OF_KEPT_CONNECTION

    def response_deadline(self) -> float:
        """Return by when the headers have to be there, if the request was sent just now.

        No socket is asked for its timeout: those of pyOpenSSL cannot tell.
        """
        if self.is_over_kept_connection:
            return self._began_at + self._limit() * SHARE_OF_KEPT_CONNECTION
        return min(monotonic() + self._read_seconds, self._began_at + self._seconds)

    def seconds_left(self) -> float:
        """Return the seconds that a new connection has, if one that was there did not answer."""
        return max(0.0, self._began_at + self._limit() - monotonic())

    def _limit(self) -> float:
        return min(self._read_seconds, self._seconds)


class TimedResponse(http.client.HTTPResponse):
    """A response whose headers and body each have a deadline."""

    fp: Any = None  # for `close`, if Ctrl-C strikes before there is anything to close

    def __init__(self, sock: socket.socket, *args: Any, exchange: Exchange, **kwargs: Any) -> None:  # noqa: ANN401  as the base class has it
        self._exchange = exchange
        self._stream = _Stream(sock, exchange)
        super().__init__(self._stream, *args, **kwargs)  # type: ignore[arg-type]  # only `makefile` is used

    def begin(self) -> None:
        """Read the status line and the headers."""
        if self.headers is not None:
            return
        stream = self.fp
        head = read_head(stream)
        if not head.is_complete:
            self._stream.end()
        self.fp = io.BytesIO(head.data)
        try:
            super().begin()
        finally:
            self.fp = stream
        self._exchange.reason, self._exchange.status = self.reason, self.status
        self.will_close: bool = self.will_close or head.is_odd
        self.msg.defects.clear()  # urllib3 would log what the server sent instead of headers
        self._stream.deadline = min(self._stream.deadline, monotonic() + MAX_BODY_SECONDS)


class _Stream(io.RawIOBase):
    """The bytes that a socket receives until a deadline."""

    _raw: Any = None  # for `close`, as above

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        self._sock = sock
        self._exchange = exchange
        self._raw = sock.makefile("rb", 0)  # HTTPretty has another name for the second argument
        self._has_ended = False
        self.deadline = exchange.response_deadline()

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the stream in the form that `http.client` asks a socket for."""
        return _Reader(self)

    def end(self) -> None:
        """Read no more, whatever is there."""
        self._has_ended = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401  any writable buffer
        if self._has_ended:
            return 0
        seconds = self.deadline - monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(seconds)
        received: int | None = self._raw.readinto(buffer)
        return received

    def note_surplus(self, surplus: bytes) -> None:
        """Note what came after the end of the response."""
        self._exchange.is_odd |= bool(surplus)

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()
        super().close()


class _Reader(io.BufferedReader):
    """The buffer in front of a stream, which must be empty at the end of the response.

    It belongs to one response: what is left in it would be lost, and the next response with it.
    """

    raw: _Stream  # pyright: ignore[reportIncompatibleVariableOverride]  it reads nothing else

    def close(self) -> None:
        if self.closed:
            return
        self.raw.end()
        try:
            self.raw.note_surplus(self.peek())
        except ValueError as error:  # this call was interrupted before, and the buffer is gone
            self.raw.close()
            if is_interruption(error):
                raise
        else:
            super().close()
