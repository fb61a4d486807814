"""A raw server whose script depends on the request."""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import TYPE_CHECKING

from support.raw_server import RawServer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from support.raw_server import Step

__all__ = ["InformedServer"]


class InformedServer(RawServer):
    """Follows a script that is called with each request; keeps connections open."""

    def __init__(self, script: Callable[[bytes], Iterable[Step]]) -> None:
        self._own = threading.local()  # of the thread of a connection
        super().__init__(lambda: script(self._own.data), keep_alive=True)

    def _read_request(self, connection: socket.socket, number: int) -> bool:
        is_read = super()._read_request(connection, number)
        with self._changed:
            if is_read:
                self._own.data = self.requests[bisect_right(self._numbers, number) - 1]
        return is_read
