"""The listening socket on 127.0.0.1 and the threads of its connections.

Owns every socket and thread of the local server, and ends them all. Must not know HTTP.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

__all__ = ["LOOPBACK", "Listener", "Serve"]

LOOPBACK = "127.0.0.1"
PAUSE_AFTER_ERROR = 0.05

Serve: TypeAlias = Callable[[socket.socket, tuple[str, int]], None]


class Listener:
    """A TCP listener that serves each connection in a thread of its own.

    All threads are daemons, so that a forgotten listener does not keep a process alive.

    Attributes:
        port: the port it listens on.
    """

    def __init__(self, port: int, serve: Serve) -> None:
        """Listen at once.

        Args:
            port: the port, 0 for a free one.
            serve: called in the thread of a connection; has to return soon after the connection
                is shut down. What it raises ends the connection, and goes to
                `threading.excepthook`.

        Raises:
            OSError: The port is taken or not allowed.
        """
        self._serve = serve
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._socket = socket.create_server((LOOPBACK, port))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(
            target=self._accept, name=f"local-segment-{self.port}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End the listener and all connections, and wait for their threads.

        May be called again, and from the thread of a connection, which then outlives the call.
        """
        self._closing.set()
        self._wake_up()
        self._thread.join()
        self._socket.close()
        with self._lock:
            connections = dict(self._connections)
            for connection in connections.values():
                _shut_down(connection)
        for thread in connections:
            if thread is not threading.current_thread():
                thread.join()

    def _wake_up(self) -> None:
        """Make `accept` return.

        Shutting down a listening socket does that on Linux, and also ends the copies of the
        socket in forked children. Elsewhere it takes a connection.
        """
        _shut_down(self._socket)
        with suppress(OSError):
            socket.create_connection((LOOPBACK, self.port), timeout=1).close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            self._accept_one()

    def _accept_one(self) -> None:
        try:
            connection, client_address = self._socket.accept()
        except OSError:
            # The listener is closing, or out of file descriptors: do not spin.
            self._closing.wait(PAUSE_AFTER_ERROR)
            return
        thread = threading.Thread(
            target=self._run,
            args=(connection, client_address),
            name=f"local-segment-{self.port}-connection-{client_address[1]}",
            daemon=True,
        )
        with self._lock:
            ended = [known for known in self._connections if not known.is_alive()]
            for known in ended:
                del self._connections[known]
            try:
                thread.start()
            except RuntimeError:  # there are too many: the client sees its connection end
                connection.close()
                self._closing.wait(PAUSE_AFTER_ERROR)
            else:
                self._connections[thread] = connection

    def _run(self, connection: socket.socket, client_address: tuple[str, int]) -> None:
        try:
            self._serve(connection, client_address)
        finally:
            # Not while `close` shuts it down, as its number may be in use again at once.
            with self._lock:
                _shut_down(connection)
                connection.close()


def _shut_down(connection: socket.socket) -> None:
    """End a connection for both sides, even if a forked child has a copy of the socket."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
