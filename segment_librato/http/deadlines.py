"""The deadlines of a request: for the headers of the response, for its body, and for both.

The timeout of a socket is for one piece of data only: a server that drips bytes can go on forever.
So a response is read from a stream that has a deadline.

Owns how long connections wait. Must not know what is sent, or what a response means.
"""

from __future__ import annotations

import http.client
import io
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3 import Timeout as DeadlineTimeout

if TYPE_CHECKING:
    import socket

    import requests
    from urllib3.connectionpool import HTTPConnectionPool

    from segment_librato.config.validators import Timeout

__all__ = ["DeadlineAdapter", "seconds_until", "timeout_within"]

MAX_BODY_SECONDS = 2.0
MIN_TIMEOUT = 0.001  # urllib3 takes no 0


def seconds_until(deadline: float | None) -> float | None:
    """Return the seconds left until a time of `time.monotonic`; None without one."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


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


class DeadlineAdapter(HTTPAdapter):
    """An adapter whose connections read responses with a deadline."""

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)
        self._pools: set[HTTPConnectionPool] = set()

    def close(self) -> None:
        """Close the connections; urllib3 leaves that to finalizers, which do not run at exit."""
        for pool in self._pools:
            pool.close()
        super().close()

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: Any,  # noqa: ANN401  requests has no public name for the type
        proxies: Any = None,  # noqa: ANN401  the same
        cert: Any = None,  # noqa: ANN401  the same
    ) -> HTTPConnectionPool:
        """Return the pool of connections for a request."""
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        pool.ConnectionCls = _with_deadlines(type(pool).ConnectionCls)
        self._pools.add(pool)
        return pool


@cache
def _with_deadlines(connection_class: type[Any]) -> type[Any]:
    """Return a subclass of a connection class whose responses have deadlines."""
    return type("Connection", (connection_class,), {"response_class": _Response})


class _Response(http.client.HTTPResponse):
    """A response whose headers and body each have a deadline."""

    fp: Any = None  # for `close`, if Ctrl-C strikes before there is anything to close

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as the base class has it
        self._stream = _Stream(sock)
        super().__init__(self._stream, *args, **kwargs)  # type: ignore[arg-type]  # only `makefile` is used

    def begin(self) -> None:
        """Read the status line and the headers."""
        super().begin()
        self.msg.defects.clear()  # urllib3 would log what the server sent instead of headers
        self.msg.set_payload("")
        self._stream.deadline = min(self._stream.deadline, time.monotonic() + MAX_BODY_SECONDS)


class _Stream(io.RawIOBase):
    """The bytes that a socket receives until a deadline; at first that of the socket's timeout."""

    _raw: Any = None  # for `close`, as above

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self.deadline = time.monotonic() + (sock.gettimeout() or MAX_BODY_SECONDS)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the stream in the form that `http.client` asks a socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401  any writable buffer
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(seconds)
        received: int | None = self._raw.readinto(buffer)
        return received

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()
        super().close()
