"""A raw server whose script depends on the request."""

from __future__ import annotations

import socket
import threading
from bisect import bisect_right
from typing import TYPE_CHECKING

from support.raw_server import RawServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from support.raw_server import Step

__all__ = ["InformedServer"]

PROBE = b"GET / HTTP/1.1\r\n\r\n"


class InformedServer(RawServer):
    """Follows a script that is called with each request; keeps connections open."""

    def __init__(self, script: Callable[[bytes], Iterable[Step]]) -> None:
        self._own = threading.local()  # of the thread of a connection
        super().__init__(lambda: self._script_of(script), keep_alive=True)

    def wait_until_idle(self) -> bool:
        """Wait until all connections that were made so far are closed; return whether they are."""
        with socket.create_connection(("127.0.0.1", self.port)) as probe:
            probe.sendall(PROBE)
            probe.recv(1)  # so it is accepted, and those before it are
        return self.wait_until(lambda: not self.open_connections)

    def _script_of(self, script: Callable[[bytes], Iterable[Step]]) -> Iterable[Step]:
        data: bytes = self._own.data
        return [b"HTTP/1.1 204 No Content\r\n\r\n"] if data == PROBE else script(data)

    def _read_request(self, connection: socket.socket, number: int) -> bool:
        is_read = super()._read_request(connection, number)
        with self._changed:
            if is_read:
                self._own.data = self.requests[bisect_right(self._numbers, number) - 1]
        return is_read
