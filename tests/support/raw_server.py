"""A server that responds as a test wants: with bytes, silence, or a broken connection."""

from __future__ import annotations

import select
import socket
import struct
import threading
from bisect import bisect_right
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from typing_extensions import Self

    Script = Callable[[], Iterable["Step"]]


class Ending(Enum):
    """How a script ends the connection, if it does."""

    CLOSE = "close"
    RESET = "reset"


Step = bytes | float | Ending  # what to send, the seconds to wait, how to end the connection

FOREVER = 3600.0
ESTABLISHED = 1  # in `tcp_info` of Linux
RESET = struct.pack("ii", 1, 0)  # closing discards what was not sent, and tells the other side


class RawServer:
    """Reads requests on 127.0.0.1, and follows a script after each of them.

    Attributes:
        requests: what was received, one entry for each request.
        connections: the number of connections made to it.
        bytes_sent: the size of what it could send.
    """

    def __init__(
        self,
        script: Script,
        *,
        keep_alive: bool = False,
        reset: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen at once.

        Args:
            script: called after each request.
            keep_alive: read the next request when the script has ended, instead of closing.
            reset: close by a reset.
            tls: speak TLS.
        """
        self._script = script
        self._keep_alive = keep_alive
        self._reset = reset
        self._tls = tls
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._open: dict[socket.socket, threading.Thread] = {}
        self.requests: list[bytes] = []  # in the order of their connections
        self._numbers: list[int] = []  # of those connections
        self.connections = 0
        self.bytes_sent = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.host = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._thread.join()
        self._socket.close()
        with self._changed:
            still_open = dict(self._open)
        for connection, thread in still_open.items():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        """Wait until a condition holds, up to 30 s, and return whether it does."""
        with self._changed:
            return self._changed.wait_for(condition, 30)

    @property
    def open_connections(self) -> int:
        with self._changed:
            return len(self._open)

    def hear_out(self) -> bool:
        """Wait until all is read that came from clients which have left; return whether it is."""
        with socket.create_connection(("127.0.0.1", self.port)) as last:  # accepted after theirs
            name = last.getsockname()
            assert self.wait_until(lambda: name in map(_peer_of, self._open))
        return self.wait_until(lambda: not any(map(_has_left, self._open)))

    def choose_script(self, *, is_first: bool) -> Iterable[Step]:
        """Return what to do after a request, the first of the first connection or a later one.

        The first may be read after others, if its client has given it up meanwhile.
        """
        return self._script()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self._closing.is_set():
                connection.close()
                return
            if self._tls:  # the handshake comes with the first piece that is read
                connection = self._tls.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
            number = self.connections  # nobody else counts them
            thread = threading.Thread(target=self._serve, args=(connection, number), daemon=True)
            with self._changed:
                self.connections += 1
                self._open[connection] = thread
                thread.start()
                self._changed.notify_all()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError):  # the client went away
            is_first = number == 0
            while (
                self._read_request(connection, number)
                and self._follow(connection, self.choose_script(is_first=is_first))
                and self._keep_alive
            ):
                is_first = False
        if self._reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.close()
        with self._changed:  # not before it is closed: a request could still be sent on it
            self._open.pop(connection)
            self._changed.notify_all()

    def _read_request(self, connection: socket.socket, number: int) -> bool:
        request = bytearray()
        size = None
        while size is None or len(request) < size:
            piece = connection.recv(65536)
            if not piece:
                return False
            request += piece
            head, separator, _ = request.partition(b"\r\n\r\n")
            if separator:
                size = len(head) + len(separator) + _content_length(bytes(head))
        with self._changed:
            at = bisect_right(self._numbers, number)  # one given up by its client may be read late
            self._numbers.insert(at, number)
            self.requests.insert(at, bytes(request))
            self._changed.notify_all()
        return True

    def _follow(self, connection: socket.socket, script: Iterable[Step]) -> bool:
        for step in script:
            if isinstance(step, bytes):
                connection.sendall(step)
                self.bytes_sent += len(step)
            elif isinstance(step, Ending):
                if step is Ending.RESET:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return False
            else:
                readable, _, _ = select.select([connection], [], [], step)
                if readable:  # the client waits too, so it can only have gone away
                    return False
        return True


def _peer_of(connection: socket.socket) -> object:
    with suppress(OSError):
        return connection.getpeername()
    return None


def _has_left(connection: socket.socket) -> bool:
    """Return whether the other side has closed a connection that is still open here."""
    with suppress(OSError):
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        return info[0] != ESTABLISHED
    return True


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
